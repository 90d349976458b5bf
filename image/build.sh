#!/usr/bin/env bash
# Builds the image, in a shell that has ESP-IDF: Espressif's container, or one of your own. The
# sources of the firmware must be in build/frozen (python -m tools.image sources); firmware.bin
# and micropython.bin are left in build/image.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/image/pinned.sh"
board=$root/image/CSIPIO_THERMOSTAT
out=$root/build/image
micropython=$out/micropython

fail() {
    echo "error: $*" >&2
    exit 1
}

command -v idf.py > /dev/null \
    || fail "no idf.py: run . \$IDF_PATH/export.sh of ESP-IDF $IDF_VERSION first"
test -f "$root/build/frozen/main.py" \
    || fail "build/frozen is empty: run .venv/bin/python -m tools.image sources first"

# A tag can be moved; the commit cannot.
commit() {
    git -C "$micropython" rev-parse --verify --quiet HEAD 2> /dev/null || true
}
if [ "$(commit)" != "$MICROPYTHON_COMMIT" ]; then
    rm -rf "$micropython"
    mkdir -p "$out"
    git -c advice.detachedHead=false clone --depth 1 --branch "$MICROPYTHON_TAG" \
        https://github.com/micropython/micropython.git "$micropython"
    [ "$(commit)" = "$MICROPYTHON_COMMIT" ] \
        || fail "$MICROPYTHON_TAG is $(commit) and not $MICROPYTHON_COMMIT"
fi

port=$micropython/ports/esp32
make -C "$micropython/mpy-cross"
make -C "$port" BOARD_DIR="$board" submodules
make -C "$port" BOARD_DIR="$board"
cp "$port/build-CSIPIO_THERMOSTAT/"{firmware,micropython}.bin "$out"
