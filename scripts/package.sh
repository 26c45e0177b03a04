#!/usr/bin/env bash
# Makes the deb and rpm packages, for amd64 and arm64: `make package` calls it. Two
# packages of one commit, made with one version of Go, are the same byte for byte.
#
#   NFPM=PROGRAM VERSION=v1.2.3 LDFLAGS=FLAGS scripts/package.sh
#   VERSION=v1.2.3 scripts/package.sh --version   says the version that packages get
#   PACKAGES=DIR              where they are put (bin/packages), in place of what is there
#   SOURCE_DATE_EPOCH=SECONDS the files' time (that of the last commit)
set -euo pipefail
cd "$(dirname "$0")/.."
umask 022

fail() {
	echo "package: $*" >&2
	exit 1
}

# v1.2.3 is 1.2.3. A candidate, v1.3.0-rc.1, comes before its release: 1.3.0~rc.1. What
# git adds for commits since, v1.2.3-4-gHASH, comes after: 1.2.3+4.gHASH. A clone
# without tags, of which git says HASH, comes before all: 0.0.0~gHASH.
version=${VERSION:-}
[ -n "$version" ] || fail 'no version: this is no clone, so say VERSION=v1.2.3'
[[ $version == v* ]] || version=v0.0.0-g$version
dirty=
[[ $version != *-dirty ]] || dirty=+dirty
package_version=${version#v}
package_version=${package_version%-dirty}
if [[ $package_version =~ ^(.*)-([0-9]+)-(g[0-9a-f]+)$ ]]; then
	package_version=${BASH_REMATCH[1]}+${BASH_REMATCH[2]}.${BASH_REMATCH[3]}
fi
package_version=${package_version/-/\~}$dirty
[[ $package_version =~ ^[0-9]+\.[0-9]+\.[0-9]+(~[0-9A-Za-z.]+)?(\+[0-9]+\.g[0-9a-f]+)?(\+dirty)?$ ]] ||
	fail "version $VERSION: want v1.2.3 or v1.2.3-rc.1, and what git describe adds"
if [ "${1:-}" = --version ]; then
	echo "$package_version"
	exit
fi

SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -c safe.directory='*' log -1 --format=%ct)} ||
	fail 'no time: this is no clone, so say SOURCE_DATE_EPOCH=SECONDS'
export SOURCE_DATE_EPOCH

packages=${PACKAGES:-bin/packages}
STAGE=$(mktemp -d)
trap 'rm -rf "$STAGE"' EXIT
# Whether the go command stamps the commit depends on who the clone belongs to.
export CGO_ENABLED=0
build=(go build -buildvcs=false -trimpath -ldflags="-s -w ${LDFLAGS:-}")
"${build[@]}" -o "$STAGE/native" ./cmd/sdrbench
mkdir "$STAGE/man" "$STAGE/packages"
"$STAGE/native" man "$STAGE/man"
gzip -9n "$STAGE"/man/*
for shell in bash fish zsh; do
	"$STAGE/native" completion "$shell" >"$STAGE/sdrbench.$shell"
done
export STAGE GOARCH PACKAGE_VERSION=$package_version
for GOARCH in amd64 arm64; do
	GOOS=linux "${build[@]}" -o "$STAGE/sdrbench" ./cmd/sdrbench
	for format in deb rpm; do
		"$NFPM" package --config packaging/nfpm.yaml --packager $format --target "$STAGE/packages"
	done
done
rm -rf "$packages"
mkdir -p "$(dirname "$packages")"
mv "$STAGE/packages" "$packages"
