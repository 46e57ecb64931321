# To be sourced. Programs out of npm, for one run.

# Of Node.js if the system's is older than the programs take; Debian 12 has 18.
NODE=22.23.3
NPM_SECONDS=300

npm_install() { (cd "$1" && timeout "$NPM_SECONDS" npm install --silent --no-audit --no-fund --prefix "$1" "${@:2}" >>"$1/npm.log" 2>&1); }

node_major() { node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0; }

# from_npm FOLDER NODE_MAJOR_MIN PACKAGE...: installs the packages there, with a newer Node.js if they need one, and puts
# their programs at the head of PATH. Fails if that cannot be done: what npm said is in FOLDER/npm.log.
from_npm() {
  local folder=$1 node_major_min=$2
  command -v npm >/dev/null 2>&1 || return 1
  mkdir -p "$folder"
  npm_install "$folder" "${@:3}" || return 1
  if [ "$(node_major)" -lt "$node_major_min" ]; then
    npm_install "$folder" "node@$NODE" || return 1
  fi
  PATH="$folder/node_modules/.bin:$PATH"
  [ "$(node_major)" -ge "$node_major_min" ]
}
