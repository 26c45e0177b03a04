#!/usr/bin/env bash
# Makes the packages twice, of two copies of this tree in different directories, and
# wants the same bytes; installs the deb and the rpm into roots of their own, where
# there is nothing but a shell, and tries what they brought. `make package-test` calls
# it. Nothing is installed on this machine but the tools that it lacks.
#
#   NFPM=PROGRAM scripts/package-test.sh
#
# Needs Debian on amd64 or arm64, and root.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/guest-common.sh
. scripts/guest-common.sh

fail() {
	echo "package-test: $*" >&2
	exit 1
}
((EUID == 0)) || fail 'not root: dpkg and chroot need it'
native=$(dpkg --print-architecture)
case $native in
amd64) other=arm64 emulator=qemu-aarch64-static native_rpm=x86_64 other_rpm=aarch64 ;;
arm64) other=amd64 emulator=qemu-x86_64-static native_rpm=aarch64 other_rpm=x86_64 ;;
*) fail "this machine is $native: want Debian on amd64 or arm64" ;;
esac
install_packages make git rpm mandoc zsh fish systemd qemu-user-static

# clean_make TARGET…: as somebody would run it who knows nothing of the make above.
clean_make() {
	env -u MAKEFLAGS -u MAKELEVEL -u SOURCE_DATE_EPOCH make -s NFPM="$NFPM" "$@"
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# Two clones of the tree as it is now, at a tag. make is told nothing of the version.
for copy in a long/way/to/b; do
	mkdir -p "$tmp/$copy"
	git -c safe.directory='*' ls-files -z --cached --others --exclude-standard |
		tar -c --null -T - | tar -x -C "$tmp/$copy"
	(
		cd "$tmp/$copy"
		export GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000'
		git init -q
		git add -A
		git -c user.name=test -c user.email=test@localhost commit -qm test
		git tag v1.98.7-rc.1
		clean_make package
	)
done
diff -r "$tmp/a/bin/packages" "$tmp/long/way/to/b/bin/packages" || fail 'two packages of one commit differ'
cd "$tmp/a/bin/packages"
deb=sdrbench_1.98.7~rc.1-1_$native.deb rpm=sdrbench-1.98.7~rc.1-1.$native_rpm.rpm
other_deb=sdrbench_1.98.7~rc.1-1_$other.deb other_rpm=sdrbench-1.98.7~rc.1-1.$other_rpm.rpm
[ "$(printf '%s\n' * | sort)" = "$(printf '%s\n' "$deb" "$rpm" "$other_deb" "$other_rpm" | sort)" ] ||
	fail "bin/packages has $(echo *), want $deb $rpm $other_deb $other_rpm"
times=$(dpkg-deb --fsys-tarfile "$deb" | tar -tv --utc --full-time | awk '{ print $4, $5 }' | sort -u)
[ "$times" = '2023-11-14 22:13:20' ] || fail "files of $times, want the commit's time, 2023-11-14 22:13:20"

# What packages of these versions are called is in this order for dpkg and rpm, and
# others are refused.
older=
for version in 0123456789ab v1.2.3-rc.1 v1.2.3-rc.1-4-g0123456789ab v1.2.3 v1.2.3-4-g0123456789ab v1.2.3-10-g0123456789ab v1.2.10; do
	newer=$(VERSION=$version "$tmp/a/scripts/package.sh" --version)
	[ -z "$older" ] || dpkg --compare-versions "$older" lt "$newer" || fail "dpkg: $older is not before $newer"
	[ -z "$older" ] || [ "$(rpm --eval "%{lua:print(rpm.vercmp('$older', '$newer'))}")" = -1 ] || fail "rpm: $older is not before $newer"
	older=$newer
done
for version in '' v1 v1.2 v1.2.3- v1.2.3_4 'v1.2.3 4' v1.2.3-rc.1-x; do
	! VERSION=$version "$tmp/a/scripts/package.sh" --version 2>/dev/null || fail "version '$version' is not refused"
done

# Binaries that are not in packages: make's, on the tag and after it, and the go command's.
binary=$tmp/a/bin/sdrbench
# says VERSION: the binary that was just made is of this version.
says() {
	local got
	got=$("$binary" --version)
	[[ $got == "sdrbench $1, go"* ]] || fail "--version says $got, want $1"
}
(
	cd "$tmp/a"
	go build -buildvcs=true -o "$binary" ./cmd/sdrbench
	says v1.98.7-rc.1
	clean_make build
	says v1.98.7-rc.1
	git -c user.name=test -c user.email=test@localhost commit -qm more --allow-empty
	echo >>README.md
	clean_make build
	says "v1.98.7-rc.1-1-g$(git rev-parse --short=12 HEAD)-dirty"
	git tag -d v1.98.7-rc.1 >/dev/null
	git checkout -q README.md
	clean_make build
	says "$(git rev-parse --short=12 HEAD)"
)

# A root has the shell that a package's script needs, and what tells that it ran, in
# systemd's place.
make_root() {
	mkdir -p "$1"/{bin,dev,tmp,var/lib/dpkg/{info,updates},var/lib/rpm}
	touch "$1/var/lib/dpkg/status"
	# shellcheck disable=SC2046 # several files
	cp -L --parents /bin/sh $(ldd /bin/sh | grep -o '/[^ )]*') "$1"
	printf '#!/bin/sh\necho "$@" >/tmp/asked\n' >"$1/bin/systemd-tmpfiles"
	chmod +x "$1/bin/systemd-tmpfiles"
}

# check ROOT: what was installed there works.
check() {
	local root=$1 page got
	got=$(chroot "$root" /usr/bin/sdrbench --version)
	[[ $got == "sdrbench v1.98.7-rc.1, go"*", linux/$native" ]] || fail "--version says: $got"
	chroot "$root" /usr/bin/sdrbench pc1 --help >"$tmp/help"
	grep -q -- '--cache-dir DIR' "$tmp/help"

	# Every command that help lists has a page, which man(1) and mandoc can read.
	local commands
	commands=$(chroot "$root" /usr/bin/sdrbench --help | sed -n '/^Available/,/^$/s/^  \([a-z0-9]*\) .*/\1/p' | grep -vx -e help -e completion)
	[ -n "$commands" ] || fail 'help lists no command'
	for page in sdrbench ${commands//[^a-z0-9]/ }; do
		[ "$page" = sdrbench ] || page=sdrbench-$page
		gzip -dc "$root/usr/share/man/man1/$page.1.gz" >"$tmp/$page.1"
		mandoc -Tlint -Werror "$tmp/$page.1"
		mandoc -Tascii "$tmp/$page.1" | sed 's/.\x08//g' >"$tmp/page"
		grep -q "^  *$page - " "$tmp/page" || fail "$page(1) does not begin with its name"
	done
	mandoc -Tascii "$tmp/sdrbench-pc1.1" | sed 's/.\x08//g' >"$tmp/page"
	grep -q '^ *--cache-dir DIR' "$tmp/page" || fail 'sdrbench-pc1(1) lacks --cache-dir'

	# Completions: the shells can read them, and bash completes with one.
	bash -n "$root/usr/share/bash-completion/completions/sdrbench"
	zsh -n "$root"/usr/share/zsh/*/_sdrbench
	fish --no-execute "$root/usr/share/fish/vendor_completions.d/sdrbench.fish"
	# This is the function of bash-completion that says what is on the line.
	got=$(PATH=$root/usr/bin:$PATH bash -c '
		_init_completion() { words=(sdrbench pc1 --cache-d) cword=2 cur=--cache-d prev=pc1; }
		compopt() { :; }
		. "$1"
		__start_sdrbench
		echo "${COMPREPLY[*]}"
	' - "$root/usr/share/bash-completion/completions/sdrbench")
	[[ $got == --cache-dir* ]] || fail "bash completes --cache-d to: $got"

	# The directory of the locks, which several users share.
	[ "$(cat "$root/tmp/asked")" = '--create sdrbench.conf' ] || fail 'installing made no /run/sdrbench'
	systemd-tmpfiles --root="$root" --create sdrbench.conf
	[ "$(stat -c '%a %u %g' "$root/run/sdrbench")" = '1777 0 0' ] || fail 'tmpfiles.d made no /run/sdrbench for everybody'

	# The unit is one, and the command in it seals the sector of a directory as it says.
	local examples=$root/usr/share/doc/sdrbench/examples sector=$root/var/lib/sdrbench/s1 command
	mkdir -p "$root/etc/systemd/system" "$sector/cache"
	cp "$examples/sdrbench-pc1@.service" "$root/etc/systemd/system/"
	got=$(systemd-analyze verify --root="$root" --man=no --recursive-errors=no "$root/etc/systemd/system/sdrbench-pc1@.service" 2>&1) ||
		fail "the unit: $got"
	[ -z "$got" ] || fail "the unit: $got"
	sed 's/^PROOF=.*/PROOF=StackedDrg2KiBV1_1/' "$examples/sector.env" >"$sector/sector.env"
	touch "$sector/sealed"
	head -c 2032 /dev/zero | tr '\0' x >"$sector/piece"
	command=$(sed -n 's/^ExecStart=//p' "$root/etc/systemd/system/sdrbench-pc1@.service")
	[ -n "$command" ] || fail 'the unit has no ExecStart'
	(
		cd "$sector"
		export SDR_LOCK_DIR=$root/run/sdrbench SDR_PROFILE=none
		"$root/usr/bin/sdrbench" addpiece --proof StackedDrg2KiBV1_1 --piece piece --piece-size 2032 --staged staged --record >/dev/null
		# shellcheck disable=SC1091
		. ./sector.env
		eval "$root$command"
	)
	grep -q '"registered_proof":"StackedDrg2KiBV1_1"' "$sector/p1.json" || fail 'the command in the unit seals no sector'
	[ "$(echo "$sector/cache"/*layer*)" = "$(echo "$sector"/cache/sc-02-data-layer-{1,2}.dat)" ] || fail "the command in the unit left $(ls "$sector/cache")"
	echo "package-test: $2: works"
}

root=$tmp/deb-root
make_root "$root"
dpkg --root="$root" --log=/dev/null -i "$deb"
check "$root" "$deb"
dpkg --root="$root" --log=/dev/null -P sdrbench
[ ! -e "$root/usr" ] || fail "removing the package left $(find "$root/usr")"

root=$tmp/rpm-root
make_root "$root"
rpm --root="$root" --dbpath=/var/lib/rpm -i --nodeps "$rpm"
check "$root" "$rpm"

for package in "$other_deb" "$other_rpm"; do
	mkdir "$tmp/other"
	case $package in
	*.deb) dpkg-deb -x "$package" "$tmp/other" ;;
	*.rpm) rpm2archive - <"$package" | tar -xz -C "$tmp/other" ;;
	esac
	got=$("$emulator" "$tmp/other/usr/bin/sdrbench" --version)
	[[ $got == "sdrbench v1.98.7-rc.1, go"*", linux/$other" ]] || fail "$package: --version says: $got"
	rm -rf "$tmp/other"
	echo "package-test: $package: works"
done
