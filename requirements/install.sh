#!/bin/sh
# Install pinned sets into .venv, and the package itself: requirements/install.sh build run [test dev]
# Every file is checked against its hash, and nothing is built from source but our own package.
set -eu
cd "$(dirname "$0")/.."

suits() {
    "$1" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    for candidate in ${PYTHON:-} python3.13 python3.12 python3.11 python3; do
        if suits "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

# Its programs name the folder they were made in: one that was moved is made anew.
if [ "$(cat .venv/made-in 2>/dev/null || pwd)" != "$(pwd)" ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    if ! python=$(find_python) && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing python3 and python3-venv"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3 python3-venv >/dev/null
        python=$(find_python) || true
    fi
    if [ -z "$python" ]; then
        echo "idbroker needs Python 3.11 or newer with its venv module (Debian: python3-venv)" >&2
        exit 1
    fi
    "$python" -m venv --clear .venv
fi

pip() {
    .venv/bin/python -m pip --quiet --disable-pip-version-check "$@"
}

files=
for set in "$@"; do
    files="$files -r requirements/$set.txt"
done
# shellcheck disable=SC2086  # several words are meant
pip install --require-hashes --no-deps --only-binary :all: $files
pip install --no-deps --no-build-isolation --editable .
pwd > .venv/made-in
