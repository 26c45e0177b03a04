#!/usr/bin/env bash
# Runs packages' tests on an x86-64 CPU that this machine need not have: in a
# small Linux on Bochs, which interprets every instruction, AVX-512's too.
#
#   scripts/emulate.sh [-c MODEL] [-f FLAGS] PACKAGE... [-- TESTFLAG...]
#   scripts/emulate.sh ./sha256 -- -test.short -test.run='^TestLabel$'
#
#   -c MODEL   one that `bochs --help cpu` lists. The default, corei3_cnl (Cannon
#              Lake), has AVX-512 (F CD DQ BW VL IFMA VBMI) and SHA;
#              corei7_skylake_x AVX-512 without SHA, corei5_lynnfield_750 nothing
#              beyond SSE4.2. On ryzen and corei7_icelake_u Linux does not boot.
#   -f FLAGS   words that /proc/cpuinfo in the guest must have, or with a ! must not
#   SDR_GUEST_TIMEOUT=SECONDS   for the guest, from power on (900)
#
# TESTFLAGs are those of a test binary; -test.v is added. SDR_* and GODEBUG reach
# the guest. It fails when a test does, when a package ran no test, and when the
# guest did not finish.
#
# Bochs runs some 50 million instructions a second, so booting takes a quarter of
# a minute, and tests a hundred times as long as usual. The guest's clock counts
# instructions: no duration means anything in there.
#
# Needs Debian on amd64. Bochs, syslinux and mtools are installed if they are
# missing (as root); a kernel and busybox for the guest are kept in bin/guest.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/guest-common.sh

fail() {
	echo "emulate: $*" >&2
	exit 1
}
usage='usage: scripts/emulate.sh [-c MODEL] [-f FLAGS] PACKAGE... [-- TESTFLAG...]'

model=corei3_cnl cpu_flags=()
while getopts c:f: option; do
	case $option in
	c) model=$OPTARG ;;
	f) read -ra cpu_flags <<<"$OPTARG" ;;
	*) fail "$usage" ;;
	esac
done
shift $((OPTIND - 1))
packages=()
while (($#)) && [ "$1" != -- ]; do
	packages+=("$1")
	shift
done
(($# == 0)) || shift
test_flags=("$@" -test.v)
((${#packages[@]})) || fail "no package: $usage"
timeout=${SDR_GUEST_TIMEOUT:-900}
[[ $timeout =~ ^[1-9][0-9]{0,4}$ ]] || fail "SDR_GUEST_TIMEOUT=$timeout: want seconds, 1 to 99999"

[ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] || fail 'this machine is not Debian on amd64'
install_packages bochs bochs-term syslinux mtools
models=$(bochs-bin --help cpu 2>&1) || :
grep -qxF "$model" <<<"$models" || fail "-c $model: bochs --help cpu does not list it"
fetch_kernel

tmp=$(mktemp -d)
bochs=''
cleanup() {
	# Bochs built with its debugger, as Debian's is, survives SIGTERM.
	if [ -n "$bochs" ]; then
		kill -KILL "$bochs" || :
		wait "$bochs" || :
	fi 2>/dev/null
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# What follows the mark is the guest's own, not a test's.
mark="guest-$$-$RANDOM:"
list=$(GOARCH=amd64 go list -f '{{.ImportPath}} {{.Dir}}' "${packages[@]}")
[ -n "$list" ] || fail "no package is called ${packages[*]}"
root=$tmp/root
mkdir -p "$root/tests"
{
	cat <<-'INIT'
		#!/bin/sh
		busybox mount -t proc proc /proc
		busybox mount -t sysfs sys /sys
		busybox mount -t devtmpfs dev /dev
		busybox mount -t tmpfs tmp /tmp
		busybox dmesg -n 4
		busybox grep -E '^(model name|flags)' /proc/cpuinfo
		export HOME=/tmp
		run() {
			name=$1
			shift
			cd "/tests/$name"
			echo "$mark run - $name"
			./test "$@"
			echo "$mark exit $? $name"
		}
	INIT
	echo "mark='$mark'"
	for name in "${!SDR_@}" GODEBUG; do
		[ -z "${!name:-}" ] || echo "export $name=${!name@Q}"
	done
	while read -r path dir; do
		to=$root/tests/$path
		mkdir -p "$to"
		# Tests run in their package's directory, and may read what is there.
		find "$dir" -maxdepth 1 -type f -exec cp -t "$to" {} +
		[ ! -d "$dir/testdata" ] || cp -R "$dir/testdata" "$to/"
		CGO_ENABLED=0 GOARCH=amd64 GOAMD64=v1 go test -c -ldflags='-s -w' -o "$to/test" "$path" >&2
		[ -x "$to/test" ] || fail "$path has no tests"
		echo "run '$path' ${test_flags[*]@Q}"
	done <<<"$list"
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
	 append console=ttyS0,115200 loglevel=3 nokaslr mitigations=off acpi=off cryptomgr.notests clearcpuid=pku,xsavec,xsaves
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
ended='' wrong=() packages_left=$(wc -l <<<"$list") running='' passed=0
while ((SECONDS < deadline)) && IFS= read -r -t $((deadline - SECONDS)) line; do
	line=${line%$'\r'}
	own=''
	if [[ $line == *"$mark "* ]]; then
		own=${line#*"$mark "}
		line=${line%%"$mark "*}
	fi
	if [ -n "$line" ] || [ -z "$own" ]; then printf '%s\n' "$line"; fi
	case $line in
	'--- PASS: '*) passed=$((passed + 1)) ;;
	'flags'*:*)
		for flag in "${cpu_flags[@]}"; do
			has=''
			[[ "${line#*:} " != *" ${flag#!} "* ]] || has=yes
			[ "$has" = "$([[ $flag == !* ]] || echo yes)" ] || wrong+=("/proc/cpuinfo: want $flag")
		done
		cpu_flags=()
		;;
	*'Kernel panic'*) break ;;
	esac
	read -r what status path <<<"$own"
	case $what in
	run)
		running=$path passed=0
		echo "emulate: $path on $model"
		;;
	exit)
		if [ "$status" != 0 ]; then
			wrong+=("$path: exit status $status")
		elif ((passed == 0)); then
			wrong+=("$path: no test passed")
		else
			echo "emulate: ok $path: $passed tests passed on $model"
		fi
		running='' packages_left=$((packages_left - 1))
		;;
	end)
		ended=yes
		break
		;;
	esac
done < <(tail -n +1 -f -s 0.2 --pid="$bochs" "$tmp/serial")

if [ -z "$ended" ] || ((packages_left)) || ((${#cpu_flags[@]})); then
	tail -n 5 "$tmp/log" >&2
	wrong+=("the guest did not finish${running:+ $running} (SDR_GUEST_TIMEOUT is $timeout s)")
fi
((${#wrong[@]} == 0)) || fail "on $model:$(printf '\n  %s' "${wrong[@]}")"
