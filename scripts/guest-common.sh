# shellcheck shell=bash
# What a guest machine boots: Debian's cloud kernel and an initramfs around
# busybox. To be sourced, in the project's folder; the downloads stay in
# bin/guest. Nothing of the guest is installed on the host.

guest_cache=bin/guest

# install_missing COMMAND:PACKAGE… installs the packages (as root) whose
# commands are not there. Debian puts some in /usr/sbin.
install_missing() {
	local pair missing=()
	for pair in "$@"; do
		PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
	done
	((${#missing[@]})) || return 0
	{
		apt-get update -q
		DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "${missing[@]}"
	} >&2
}

# fetch_package NAME FILE unpacks Debian's package and moves the one file of it
# that FILE, a glob, matches to $guest_cache/NAME.
fetch_package() (
	set -e
	tmp=$(mktemp -d "$PWD/$guest_cache/fetch.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	cd "$tmp"
	apt-get download -q -o APT::Sandbox::User=root "$1" >&2
	dpkg-deb -x ./*.deb root
	# shellcheck disable=SC2206 # FILE is a glob
	files=(root/$2)
	if ! [ "${#files[@]}" = 1 ] || ! [ -f "${files[0]}" ]; then
		echo "guest: package $1 has no single $2" >&2
		exit 1
	fi
	mv "${files[0]}" "../$1"
)

# fetch_kernel sets guest_kernel and guest_busybox to files for amd64.
fetch_kernel() {
	guest_kernel=$guest_cache/vmlinuz guest_busybox=$guest_cache/busybox-static
	mkdir -p "$guest_cache"
	if ! [ -x "$guest_busybox" ]; then
		fetch_package busybox-static bin/busybox || return
	fi
	if ! [ -f "$guest_kernel" ]; then
		local package
		package=$(apt-cache depends linux-image-cloud-amd64 | awk '$1 == "Depends:" && /linux-image/ { print $2; exit }')
		[ -n "$package" ] || {
			echo 'guest: apt does not know linux-image-cloud-amd64: run apt-get update' >&2
			return 1
		}
		fetch_package "$package" 'boot/vmlinuz-*' || return
		mv "$guest_cache/$package" "$guest_kernel"
	fi
}

# make_initramfs FOLDER FILE packs FOLDER, which has an executable /init, with
# busybox added as /bin/busybox and /bin/sh. Not compressed: an emulated machine
# copies faster than it unpacks.
make_initramfs() {
	mkdir -p "$1"/{bin,dev,proc,sys,tmp}
	cp "$guest_busybox" "$1/bin/busybox"
	ln -sf busybox "$1/bin/sh"
	local out
	out=$(realpath "$2")
	(cd "$1" && find . | "$OLDPWD/$guest_busybox" cpio -o -H newc -R 0:0) >"$out" 2>/dev/null
}
