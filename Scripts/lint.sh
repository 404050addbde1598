#!/usr/bin/env bash
# Checks the form of the sources: swift format, shellcheck and the gates.
set -euo pipefail
cd "$(dirname "$0")/.."
source Scripts/common.sh

require_swift
Scripts/install-packages.sh lint

step "swift format lint"
swift format lint --strict --parallel --recursive Package.swift Sources Tests
step "shellcheck"
shellcheck .ci/run Scripts/*.sh
Scripts/gates.sh
