#!/usr/bin/env bash
# Runs the tests of packages on an x86-64 CPU that this machine need not have:
# in a small Linux on Bochs, which interprets every instruction, AVX-512 too.
#
#   scripts/emulate.sh [-c MODEL] PACKAGE... [-- FLAG...]
#   scripts/emulate.sh ./sha256 -- -test.short -test.run='^TestLabel$'
#
# MODEL is one of `bochs --help cpu`. The default, Cannon Lake, is a core with
# both AVX-512 (F CD DQ BW VL IFMA VBMI) and SHA; corei7_skylake_x has AVX-512
# without SHA, ryzen SHA without AVX-512, corei5_lynnfield_750 SSE4.2 alone.
# FLAGs are those of a test binary; -test.v is added. SDR_* variables and
# GODEBUG reach the guest.
#
# It fails when a test does, when a package ran no test, and when the guest has
# not finished after SDR_GUEST_TIMEOUT seconds (900). Some 60 million
# instructions a second: booting takes half a minute, and tests some hundred
# times as long as usual. The guest's clock counts instructions, so that neither
# -test.timeout nor a benchmark means anything in there.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/guest-common.sh

fail() {
	echo "emulate: $*" >&2
	exit 1
}

model=corei3_cnl
while getopts c: option; do
	case $option in
	c) model=$OPTARG ;;
	*) fail 'usage: scripts/emulate.sh [-c MODEL] PACKAGE... [-- FLAG...]' ;;
	esac
done
shift $((OPTIND - 1))
packages=()
while (($#)) && [ "$1" != -- ]; do
	packages+=("$1")
	shift
done
(($# == 0)) || shift
flags=("$@")
((${#packages[@]})) || fail 'no package: usage: scripts/emulate.sh [-c MODEL] PACKAGE... [-- FLAG...]'
timeout=${SDR_GUEST_TIMEOUT:-900}
[[ $timeout =~ ^[1-9][0-9]*$ ]] || fail "SDR_GUEST_TIMEOUT=$timeout is not a number of seconds"

install_missing bochs-bin:bochs syslinux:syslinux mcopy:mtools
[ -e /usr/lib/x86_64-linux-gnu/bochs/plugins/libbx_term_gui.so ] || install_missing bochs-term:bochs-term
fetch_kernel

tmp=$(mktemp -d)
bochs=''
cleanup() {
	# Bochs built with its debugger, as Debian's is, survives SIGTERM.
	[ -z "$bochs" ] || kill -KILL "$bochs" 2>/dev/null || :
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# Lines that begin with the mark are the guest's own, not a test's.
mark="guest-$$-$RANDOM:"
root=$tmp/root
mkdir -p "$root/tests"
{
	cat <<-'INIT'
		#!/bin/sh
		busybox mount -t proc proc /proc
		busybox mount -t sysfs sys /sys
		busybox mount -t devtmpfs dev /dev
		busybox mount -t tmpfs tmp /tmp
		busybox grep -E '^(model name|flags)' /proc/cpuinfo
		export HOME=/tmp
		run() {
			name=$1
			shift
			cd "/tests/$name"
			echo "$mark run $name"
			./test "$@"
			echo "$mark exit $? $name"
		}
	INIT
	echo "mark='$mark'"
	for name in "${!SDR_@}" GODEBUG; do
		[ -z "${!name:-}" ] || echo "export $name=${!name@Q}"
	done
	mapfile -t list < <(GOARCH=amd64 go list -f '{{.ImportPath}} {{.Dir}}' "${packages[@]}")
	((${#list[@]})) || fail "no package matches ${packages[*]}"
	for line in "${list[@]}"; do
		path=${line%% *} dir=${line#* }
		to=$root/tests/$path
		mkdir -p "$to"
		CGO_ENABLED=0 GOARCH=amd64 GOAMD64=v1 go test -c -ldflags='-s -w' -o "$to/test" "$path" >&2
		[ -x "$to/test" ] || fail "$path has no tests"
		[ ! -d "$dir/testdata" ] || cp -R "$dir/testdata" "$to/"
		echo "run '$path' ${flags[*]@Q} -test.v"
	done
	cat <<-'INIT'
		echo "$mark end"
		busybox sleep 1000000
	INIT
} >"$root/init"
chmod +x "$root/init"
make_initramfs "$root" "$tmp/initrd"

# Bochs 2.7 reports wrong sizes for compacted XSAVE areas and for PKRU's part,
# upon which Linux would do without AVX; it is right about the standard format.
cat >"$tmp/syslinux.cfg" <<-CONFIG
	default linux
	label linux
	 kernel vmlinuz
	 initrd initrd
	 append console=ttyS0,115200 quiet nokaslr mitigations=off acpi=off cryptomgr.notests clearcpuid=pku,xsavec,xsaves
CONFIG

# A FAT disk of whole cylinders, 16 heads of 63 sectors each, with a third to spare.
bytes=$(cat "$guest_kernel" "$tmp/initrd" | wc -c)
cylinders=$((bytes * 4 / 3 / (16 * 63 * 512) + 16))
truncate -s $((cylinders * 16 * 63 * 512)) "$tmp/disk"
mformat -i "$tmp/disk" -t "$cylinders" -h 16 -s 63 ::
syslinux --install "$tmp/disk"
mcopy -i "$tmp/disk" "$guest_kernel" ::vmlinuz
mcopy -i "$tmp/disk" "$tmp/initrd" "$tmp/syslinux.cfg" ::

cat >"$tmp/bochsrc" <<-CONFIG
	config_interface: textconfig
	display_library: term
	cpu: model=$model, count=1, ips=100000000, reset_on_triple_fault=0
	memory: guest=512, host=512
	romimage: file=/usr/share/bochs/BIOS-bochs-latest, options=fastboot
	vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
	ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
	ata0-master: type=disk, path=$tmp/disk, mode=flat, cylinders=$cylinders, heads=16, spt=63
	boot: disk
	com1: enabled=1, mode=file, dev=$tmp/serial
	log: $tmp/log
	panic: action=fatal
	error: action=report
	info: action=ignore
	mouse: enabled=0
	sound: driver=dummy
	speaker: enabled=0
CONFIG
echo continue >"$tmp/debugger"
: >"$tmp/serial"
deadline=$((SECONDS + timeout))
TERM=vt100 bochs-bin -q -f "$tmp/bochsrc" -rc "$tmp/debugger" </dev/null >"$tmp/screen" 2>&1 &
bochs=$!

echo "emulate: $model boots"
ended='' failed=() ran=0 current=''
while ((deadline > SECONDS)) && IFS= read -r -t $((deadline - SECONDS)) line; do
	line=${line%$'\r'}
	if [[ $line != "$mark "* ]]; then
		printf '%s\n' "$line"
		[[ $line != '--- PASS: '* ]] || ran=$((ran + 1))
		[[ $line != *'Kernel panic'* ]] || break
		continue
	fi
	read -r _ what status name <<<"$line"
	case $what in
	run)
		current=$status ran=0
		echo "emulate: $current"
		;;
	exit)
		if [ "$status" != 0 ]; then
			failed+=("$name: exit status $status")
		elif ((ran == 0)); then
			failed+=("$name: no test ran to its end")
		else
			echo "emulate: ok $name: $ran tests on $model after ${SECONDS}s"
		fi
		current=''
		;;
	end)
		ended=yes
		break
		;;
	esac
done < <(tail -n +1 -f -s 0.2 --pid="$bochs" "$tmp/serial")

if [ -z "$ended" ]; then
	tail -n 5 "$tmp/log" "$tmp/screen" >&2
	fail "the guest did not finish${current:+ $current} (SDR_GUEST_TIMEOUT is $timeout s)"
fi
((${#failed[@]} == 0)) || fail "$(printf '%s; ' "${failed[@]}")on $model"
