# Shared by the scripts beside this file; sourced, not run.
# shellcheck shell=bash

# How a release is built: with Swift's libraries inside the binary.
# shellcheck disable=SC2034
release_flags=(-c release -Xswiftc -static-stdlib)

# Ends the script with a message on standard error.
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Says what is about to happen.
step() {
    printf '==> %s\n' "$*"
}

# Ends the script when the Swift toolchain is missing or too old.
require_swift() {
    command -v swift >/dev/null 2>&1 || fail "the command 'swift' was not found.
Vireo is built with Swift 6.3 or later: install it from https://www.swift.org/install/linux/ and put its usr/bin folder on
PATH."
    local version
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9][0-9]*\.[0-9][0-9]*\).*/\1/p' | head -n 1)
    local major=${version%%.*} minor=${version#*.}
    [[ -n $version ]] || fail "'swift --version' does not name a version; is the toolchain complete?"
    if ((major < 6 || (major == 6 && minor < 3))); then
        fail "Vireo needs Swift 6.3 or later, but 'swift' on PATH is $version (https://www.swift.org/install/linux/)."
    fi
}
