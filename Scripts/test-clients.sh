#!/usr/bin/env bash
# Runs the Python client tests against the debug binary, which has been built before. Arguments go to pytest.
#
# The clients live in .venv-clients, made afresh when Tests/Clients/requirements.txt changes.
set -euo pipefail
cd "$(dirname "$0")/.."
source Scripts/common.sh

require_swift
Scripts/install-packages.sh test

binary=${VIREO_BINARY:-$(swift build --show-bin-path)/vireo}
[[ -x $binary ]] || fail "$binary is not there; build it first: swift build --product vireo"

environment=.venv-clients
requirements=Tests/Clients/requirements.txt
if ! cmp -s "$requirements" "$environment/requirements.txt"; then
    step "Installing the Python clients"
    rm -rf "$environment"
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
    cp "$requirements" "$environment/requirements.txt"
fi

VIREO_BINARY=$binary exec "$environment/bin/python" -m pytest -p no:cacheprovider Tests/Clients "$@"
