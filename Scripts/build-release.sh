#!/usr/bin/env bash
# Builds the release binary, and prints where it is.
set -euo pipefail
cd "$(dirname "$0")/.."
source Scripts/common.sh

require_swift
Scripts/install-packages.sh build
swift build "${release_flags[@]}" --product vireo
printf '%s/vireo\n' "$(swift build "${release_flags[@]}" --show-bin-path)"
