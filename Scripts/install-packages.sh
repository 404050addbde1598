#!/usr/bin/env bash
# Installs the Debian packages of the named groups that are missing; says nothing when all are there.
#
#     Scripts/install-packages.sh build|demo|test|lint …
set -euo pipefail
cd "$(dirname "$0")/.."
source Scripts/common.sh

# Image codecs: headers, and the static archives that Package.swift links. git is SwiftPM's.
build_packages=(git libjpeg62-turbo-dev libpng-dev libwebp-dev libgif-dev zlib1g-dev)
declare -A archives=(
    [libjpeg62-turbo-dev]=libjpeg.a [libpng-dev]=libpng16.a [libwebp-dev]=libwebp.a [libgif-dev]=libgif.a
    [zlib1g-dev]=libz.a)

packages=()
for group in "$@"; do
    case $group in
    build) packages+=("${build_packages[@]}") ;;
    demo) packages+=(python3 python3-venv) ;;
    # The server is run by tests, on a port of their own.
    test) packages+=(python3 python3-venv redis-server) ;;
    lint) packages+=(python3 shellcheck) ;;
    *) fail "no group of packages is called '$group'" ;;
    esac
done

is_installed() {
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
    printf 'warning: this is no Debian; install what corresponds to: %s\n' "${packages[*]}" >&2
    exit 0
fi

missing=()
for package in "${packages[@]}"; do
    is_installed "$package" || missing+=("$package")
done

if ((${#missing[@]} > 0)); then
    as_root=()
    if ((EUID != 0)); then
        command -v sudo >/dev/null 2>&1 || fail "packages are missing, and there is no sudo to install them with.
Run as root: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    step "Installing ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" \
        >/dev/null
fi

for package in "${packages[@]}"; do
    archive=${archives[$package]:-}
    [[ -z $archive ]] || dpkg -L "$package" | grep -q "/$archive\$" ||
        fail "the package $package has no $archive, which the binary is linked with"
done
