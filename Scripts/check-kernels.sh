#!/usr/bin/env bash
# Compiles every CUDA kernel with NVIDIA's run-time compiler, which needs no GPU; the tests have been built before.
#
# The compiler comes from PyPI and lives in .build/nvrtc.
set -euo pipefail
cd "$(dirname "$0")/.."
source Scripts/common.sh

require_swift
Scripts/install-packages.sh test

version=13.0.88
environment=.build/nvrtc-$version
if [[ ! -f $environment/complete ]]; then
    step "Installing the CUDA compiler $version"
    rm -rf .build/nvrtc-*
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check --no-deps "nvidia-cuda-nvrtc==$version"
    touch "$environment/complete"
fi

library=$(find "$PWD/$environment/lib" -name libnvrtc.so.13 -print -quit)
[[ -n $library ]] || fail "there is no libnvrtc.so.13 in $environment; delete the folder and try again"

step "Compiling the CUDA kernels"
VIREO_NVRTC=$(dirname "$library") swift test --skip-build --no-parallel --filter KernelSourceTests |
    tee "$environment/log"
grep -q 'Test "every kernel compiles".* passed' "$environment/log" || fail "no kernel was compiled; build the tests first"
