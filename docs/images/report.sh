#!/bin/sh
# Pictures of a validation report for report.md, by a Chromium of this machine:
#   npx lockstep validate --html report.html; docs/images/report.sh report.html
set -eu
page=$(realpath "$1")
images=$(dirname "$(realpath "$0")")
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
shoot() {
  "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size="$2" $3 \
    --screenshot="$images/report-$1.png" "file://$page" 2>/dev/null
}
shoot light 1100,1150 ''
shoot dark 1100,1150 '--blink-settings=preferredColorScheme=0'
shoot phone 500,1150 ''
