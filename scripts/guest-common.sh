# shellcheck shell=bash
# What a guest machine boots: Debian's cloud kernel and an initramfs around
# busybox. To be sourced under set -e, in the project's directory; the downloads stay
# in bin/guest. Nothing of the guest is installed on the host.

guest_cache=bin/guest

# install_packages PACKAGE… installs, as root, those that are missing.
install_packages() {
	local package missing=()
	for package in "$@"; do
		dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
	done
	((${#missing[@]})) || return 0
	((EUID == 0)) || {
		echo "guest: lacks the Debian packages ${missing[*]}: install them, or run this as root" >&2
		return 1
	}
	{
		apt-get update -q
		DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "${missing[@]}"
	} >&2
}

# fetch_package NAME FILE unpacks Debian's package and moves the one file of it
# that FILE, a glob, matches to $guest_cache/NAME.
fetch_package() (
	tmp=$(mktemp -d "$PWD/$guest_cache/fetch.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	cd "$tmp" || exit
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
	if [ -f "$guest_kernel" ] && [ -f "$guest_busybox" ]; then return; fi
	mkdir -p "$guest_cache"
	((EUID != 0)) || apt-get update -q >&2
	fetch_package busybox-static bin/busybox
	local package
	package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9]\)/\1/p')
	fetch_package "$package" 'boot/vmlinuz-*'
	mv "$guest_cache/$package" "$guest_kernel"
}

# make_initramfs DIRECTORY FILE packs DIRECTORY, which has an executable /init,
# with busybox added as /bin/busybox and /bin/sh. Not compressed: an emulated machine
# copies faster than it unpacks.
make_initramfs() {
	mkdir -p "$1"/{bin,dev,proc,sys,tmp}
	cp "$guest_busybox" "$1/bin/busybox"
	ln -sf busybox "$1/bin/sh"
	local out
	out=$(realpath "$2")
	(cd "$1" && find . | "$OLDPWD/$guest_busybox" cpio --quiet -o -H newc -R 0:0) >"$out"
}
