#!/usr/bin/env bash
# A fresh clone of what is committed here, as its readers meet it: `npm ci && npm start -- --duration 20`
#   as root, from a checkout that only root can enter (mode 700);
#   as a plain user;
#   both at once, so that two checkouts share the machine.
# As a plain user it does what it can: its own clone, twice at once. Takes minutes and a network, so it is no part of
# `npm test`. Exit code 0 when every run said that every target agrees and left no process behind.
set -euo pipefail

seconds="${1:-20}"
checkout="$(git -C "$(dirname "${BASH_SOURCE[0]}")" rev-parse --show-toplevel)"
work="$(mktemp -d)"
chmod 711 "$work"
user=lockstep-clone
made_user=no

finish() {
  if [[ "$made_user" == yes ]]; then userdel "$user" >/dev/null 2>&1 || true; fi
  rm -rf "$work"
}
trap finish EXIT

# A file that every user can clone, whoever owns the checkout.
git -C "$checkout" bundle create --quiet "$work/origin.bundle" HEAD
chmod 644 "$work/origin.bundle"

# clone NAME MODE: a clone of the caller's own, installed.
clone() {
  git -c advice.detachedHead=false clone --quiet "$work/origin.bundle" "$1"
  chmod "$2" "$1"
  (cd "$1" && npm ci --no-audit --no-fund >npm-ci.log 2>&1) || { cat "$1/npm-ci.log"; return 1; }
}

# run NAME: the first thing that anybody types.
run() {
  (cd "$1" && npm start -- --duration "$seconds" >start.log 2>&1) && code=0 || code=$?
  echo "== $1: exit code $code"
  grep -E '^(legacy|messages|merges|lag|target|result)' "$1/start.log" || tail -20 "$1/start.log"
  return "$code"
}

export work seconds
export -f clone run

as_user() { runuser -u "$user" -- env HOME="$work/home" bash -euo pipefail -c "$1"; }

if [[ "$(id -u)" -eq 0 ]]; then
  if ! id "$user" >/dev/null 2>&1; then
    useradd --system --no-create-home "$user"
    made_user=yes
  fi
  install -d -o "$user" -m 700 "$work/home"
  clone "$work/root" 700
  as_user "clone $work/home/plain 755"
  echo '== one after the other'
  run "$work/root"
  as_user "run $work/home/plain"
  echo '== both at once'
  run "$work/root" & first=$!
  as_user "run $work/home/plain" & second=$!
else
  clone "$work/one" 755
  clone "$work/two" 755
  run "$work/one" & first=$!
  run "$work/two" & second=$!
fi
wait "$first"
wait "$second"

left="$(pgrep -f -- "$work" || true)"
if [[ -n "$left" ]]; then
  echo "left running:" >&2
  ps -o pid,user,args -p "${left//$'\n'/,}" >&2
  exit 1
fi
echo '== every run agreed, and nothing is left running'
