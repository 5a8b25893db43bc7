#!/bin/sh
# Sees to it that the programs the tests need are there: installs them where apt-get can, else says what to install.
set -eu

missing=""
command -v mosquitto >/dev/null || [ -x /usr/sbin/mosquitto ] || missing="$missing mosquitto"
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
    missing="$missing chromium"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } </dev/null >/dev/null && exit 0
fi
echo "the tests need:$missing. Install them (on Debian: sudo apt-get install$missing) and try again." >&2
exit 1
