#!/bin/sh
# SPDX-License-Identifier: MIT
# The image's bill of materials as CycloneDX 1.5 JSON: flk itself, and every Debian package that is installed.
# usage: sbom.sh VERSION
set -eu
arch=$(dpkg --print-architecture)
release=$(sed -n 's/^VERSION_ID=//p' /etc/os-release | tr -d '"')
printf '{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,'
printf '"metadata":{"component":{"type":"application","name":"flk","version":"%s","licenses":[{"license":{"id":"MIT"}}]}},' "$1"
printf '"components":[\n'
# shellcheck disable=SC2016 # the fields are dpkg-query's
dpkg-query -W -f '${db:Status-Abbrev}\t${binary:Package}\t${Version}\n' | awk -F '\t' -v arch="$arch" -v release="$release" '
    $1 ~ /^ii/ {
        sub(/:.*/, "", $2)
        version = $3
        gsub(/%/, "%25", version); gsub(/\+/, "%2B", version); gsub(/:/, "%3A", version)
        printf "%s{\"type\":\"library\",\"name\":\"%s\",\"version\":\"%s\",\"purl\":\"pkg:deb/debian/%s@%s?arch=%s&distro=debian-%s\"}",
            separator, $2, $3, $2, version, arch, release
        separator = ",\n"
    }'
printf '\n]}\n'
