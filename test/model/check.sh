#!/usr/bin/env bash
# Checks the protocol's model: every world holds, and every rule is needed (without it, some world breaks).
# Needs spin and a C compiler. Worlds are explored exhaustively: a search that is cut short is a failure.
# With an argument, only the worlds whose name contains it. With --docs, writes the counterexamples into docs/model.md;
# otherwise they must be those that stand there.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
model="$here/protocol.pml"
documenting=()
if [[ "${1:-}" == --docs ]]; then documenting=(--write); shift; fi

for tool in spin cc; do
  if ! command -v "$tool" >/dev/null; then
    echo "The protocol's model cannot be checked: $tool is not installed (apt-get install spin gcc libc6-dev)." >&2
    exit 2
  fi
done

scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT

# Worlds are independent, so as many are explored at once as there are processors. Each stays below what a small CI
# machine has; memory beyond it ends the search, which is then reported as incomplete.
at_once="$(nproc)"
wanted="${1:-}"
memory_mb=5000
worlds=0
actors='application|listener|queue|applier|backfill|cutover'

# explore FLAG…: leaves pan's report in pan.out.
explore() {
  spin -a "$@" "$model" >spin.out 2>&1 || { cat spin.out >&2; return 2; }
  cc -w "$optimize" -DSAFETY -DNOFAIR -DCOLLAPSE -DMEMLIM="$memory_mb" -o pan pan.c
  # It answers 0 whatever it finds.
  ./pan -m500000 >pan.out 2>&1 || true
}

complete() { ! grep -q -e 'Search not completed' -e 'max search depth too small' -e 'out of memory' pan.out; }
errors() { sed -nE 's/.*errors: ([0-9]+).*/\1/p' pan.out; }
states() { sed -nE 's/^ *([0-9.e+]+) states, stored.*/\1/p' pan.out | head -1; }

# must_hold NAME FLAG…: all interleavings explored, no error.
must_hold() {
  local name="$1" optimize=-O2
  shift
  explore "$@"
  if [[ "$(errors)" == 0 ]] && complete; then
    printf 'holds    %-58s %12s states\n' "$name" "$(states)"
    touch passed
  else
    printf 'FAILED   %s: should hold (%s)\n' "$name" "$*"
    cat pan.out
  fi
}

# must_break NAME FLAG…: there is a counterexample. It is found long before an optimized compilation would pay.
must_break() {
  local name="$1" optimize=-O1
  shift
  explore "$@"
  if [[ "$(errors)" -ge 1 ]] && grep -q -e 'assertion violated' -e 'invalid end state' pan.out; then
    printf 'breaks   %s\n' "$name"
    if [[ -n "${TRACE:-}" ]]; then
      spin -k ./*.trail -t -B "$@" "$model" | grep -E "^ *($actors)"
    fi
    touch passed
  else
    printf 'FAILED   %s: removed, and nothing broke (%s)\n' "$name" "$*"
  fi
}

# must_show RULE FLAG…: the shortest counterexample, for people.
must_show() {
  local rule="$1"
  shift
  spin -a "$@" "-D$rule" "$model" >spin.out 2>&1
  cc -w -O1 -DSAFETY -DNOFAIR -DBFS -DMEMLIM="$memory_mb" -o pan pan.c
  ./pan >pan.out 2>&1 || true
  spin -k ./*.trail -t -B "$@" "-D$rule" "$model" | sed -E 's/^ +//; s/ +$//' | grep -E "^($actors)" >"$scratch/$rule.trace"
  printf 'shown    %-58s %12s lines\n' "$rule" "$(wc -l <"$scratch/$rule.trace")"
  touch passed
}

# beside CHECK…: runs a check in a folder of its own, beside others; what it says comes in one piece when it is done.
beside() {
  [[ "$2" == *"$wanted"* ]] || return 0
  worlds=$((worlds + 1))
  local folder="$scratch/$worlds"
  mkdir "$folder"
  while (($(jobs -rp | wc -l) >= at_once)); do wait -n || true; done
  (cd "$folder" && { "$@" >report 2>&1 || true; } && cat report) &
}
holds() { beside must_hold "$@"; }
breaks() { beside must_break "$@"; }

merges=(-DROW_CHANGES=3 -DCRASHES=0)
few=(-DROW_CHANGES=2 -DCRASHES=0)
slices=(-DSLICES -DROW_CHANGES=2)
backfill=(-DBACKFILL -DROW_CHANGES=2 -DCRASHES=0)
revealing=(-DREVEALING -DROW_CHANGES=2 -DCRASHES=0)
lodging=(-DKEYED -DLODGING -DROW_CHANGES=3 -DCRASHES=0)
listener=(-DLISTENER -DROW_CHANGES=1)
# The smallest world in which all orders of two reveals and two moves occur.
conflicts=(-DKEYED -DREVEALING -DROW_CHANGES=2 -DOTHER_CHANGES=2 -DREDELIVERIES=0 -DCRASHES=0)

for keyed in '' KEYED; do
  key=(${keyed:+-D$keyed})
  in="${keyed:+, keyed target}"
  holds "three moves, a second source, a redelivery$in" "${key[@]}" "${merges[@]}"
  holds "merges in several transactions, and killed$in" "${key[@]}" "${slices[@]}"
  holds "backfill beside the stream$in" "${key[@]}" "${backfill[@]}"
  holds "rows that another source reveals$in" "${key[@]}" "${revealing[@]}"
  holds "listener killed at any step$in" "${key[@]}" "${listener[@]}"
done
holds 'rows that wait for their parent, keyed target' "${lodging[@]}"
holds 'two scopes revealed, and moves between them, keyed target' "${conflicts[@]}"

for keyed in '' KEYED; do
  key=(${keyed:+-D$keyed})
  in="${keyed:+, keyed target}"
  for rule in NO_FENCE FENCE_NOT_HELD NO_ROW_LOCK RESOLVE_BEFORE_LOCK NO_ROUTING NO_LOOK_AT_TARGET DERIVE_BEFORE_LOCK \
    NO_SCOPE_LOCKS NO_DRAIN NO_WRITE_LOCK; do
    breaks "$rule$in" "${key[@]}" "${few[@]}" "-D$rule"
  done
  breaks "ROW_LOCK_ONLY_FIRST$in" "${key[@]}" -DSLICES -DROW_CHANGES=3 -DOTHER_CHANGES=0 -DCRASHES=0 -DROW_LOCK_ONLY_FIRST
  breaks "LEDGER_STRUCK_FIRST$in" "${key[@]}" -DROW_CHANGES=1 -DLEDGER_STRUCK_FIRST
  for rule in NO_TARGET_LOCK TARGET_LOCK_AFTER_RESOLVE; do breaks "$rule$in" "${key[@]}" "${backfill[@]}" "-D$rule"; done
  breaks "NO_SECOND_PASS$in" "${key[@]}" "${revealing[@]}" -DNO_SECOND_PASS
done
for rule in STRAY_OVERWRITTEN STRAY_LEFT CONFLICT_IGNORED; do
  breaks "$rule, keyed target" "${conflicts[@]}" "-D$rule"
done
breaks 'MOVES_NOT_REPEATED, keyed target' "${lodging[@]}" -DMOVES_NOT_REPEATED
for rule in SEND_BEFORE_LEDGER CONFIRM_BEFORE_SEND NO_FORGET SAME_IDS NO_EPOCH SENT_BEFORE_VISIBLE; do
  breaks "$rule" "${listener[@]}" "-D$rule"
done

shows() { beside must_show "$@"; }
for rule in NO_FENCE NO_ROW_LOCK RESOLVE_BEFORE_LOCK DERIVE_BEFORE_LOCK; do shows "$rule" "${few[@]}"; done
shows LEDGER_STRUCK_FIRST -DROW_CHANGES=1 -DCRASHES=1

wait
passed="$(find "$scratch" -name passed | wc -l)"
printf '%d passed, %d failed\n' "$passed" "$((worlds - passed))"
((worlds > 0 && passed == worlds))
if [[ -z "$wanted" ]]; then node "$here/traces.ts" "$scratch" "$(spin -V)" "${documenting[@]}"; fi
