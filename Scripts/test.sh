#!/usr/bin/env bash
# Builds everything and runs all tests: Swift's, then the Python clients against a real server.
set -euo pipefail
cd "$(dirname "$0")/.."
source Scripts/common.sh

require_swift
Scripts/install-packages.sh build test

# A target that imports another without declaring it is an error here; the check is complete on a clean build.
step "Building the tests"
swift build --build-tests --explicit-target-dependency-import-check error
step "Running the Swift tests"
swift test --skip-build --no-parallel
Scripts/check-kernels.sh
step "Running the client tests"
Scripts/test-clients.sh
