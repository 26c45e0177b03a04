#!/usr/bin/env bash
# Boots a machine with two NUMA nodes, a small Linux guest under QEMU's software
# emulation, and runs in it, as root, the tests named TestNUMAGuest… of every
# package that has a numa_guest_test.go. A package that ran none, or skipped one,
# has failed, and so has one that leaves the machine changed.
#
#   scripts/numa-guest.sh [DIRECTORY]...   only these packages
#
#   SDR_GUEST_TIMEOUT=SECONDS              for the guest, from power on to power off (300)
#
# Needs Debian on amd64. QEMU and cpio are installed if they are missing (as
# root); a kernel and busybox for the guest are unpacked into bin/numa-guest.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C

fail() {
	echo "numa-guest: $*" >&2
	exit 1
}

timeout=${SDR_GUEST_TIMEOUT:-300}
[[ $timeout =~ ^[1-9][0-9]{0,4}$ ]] || fail "SDR_GUEST_TIMEOUT=$timeout: want seconds, 1 to 99999"

# The machine, in this one place: QEMU's options below are made of it, and so is
# what topology's tests compare with. Each socket is a NUMA node with one L3.
# Nothing is alike that need not be, so that a test sees what was mixed up.
sockets=2 cores=2 threads=2
memory=(1280 2240)          # of each node, MiB
gigantic=(0 1)              # huge pages of 1 GiB; QEMU's "pc" has the addresses 2 to 3 GiB on node 1
distances=('10,21' '31,10') # from each node
# An Intel, because a guest finds an AMD's L3 by a CPUID leaf that software
# emulation lacks. No SHA instructions, so that kernels are the generic ones.
cpu='max,vendor=GenuineIntel,sha-ni=off,la57=off'

shopt -s globstar nullglob
files=("${@/%//numa_guest_test.go}")
(($#)) || files=(**/numa_guest_test.go)
((${#files[@]})) || fail 'no package has a numa_guest_test.go'
packages=()
for file in "${files[@]}"; do
	[ -r "$file" ] || fail "$file is not there"
	packages+=("$(realpath --relative-to=. "$(dirname "$file")")")
done

cache=bin/numa-guest
mkdir -p "$cache"
tmp=$(mktemp -d "$cache/run.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

# What the guest is made of.

debian='Debian packages qemu-system-x86, cpio, busybox-static and linux-image-cloud-amd64'
[ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] || fail "needs the $debian, and this machine is not Debian on amd64"

lists=
refresh() { # apt's lists of packages, once, if we may
	if [ -z "$lists" ] && ((EUID == 0)); then
		apt-get update -q || fail "cannot reach Debian's archive, needed for the $debian"
	fi
	lists=fresh
}

unpack() { # PACKAGE FILE NAME: takes one file out of a package, without installing that
	local deb
	(cd "$tmp" && apt-get download -q -o APT::Sandbox::User=root "$1") || fail "cannot download the Debian package $1"
	deb=$(echo "$tmp/$1"_*.deb)
	dpkg-deb --fsys-tarfile "$deb" | tar -xO --wildcards "./$2" >"$tmp/$3" || fail "cannot unpack $2 of the Debian package $1"
	mv "$tmp/$3" "$cache/$3"
}

missing=()
command -v qemu-system-x86_64 >/dev/null || missing+=(qemu-system-x86)
command -v cpio >/dev/null || missing+=(cpio)
if ((${#missing[@]})); then
	((EUID == 0)) || fail "lacks the Debian packages ${missing[*]}: install them, or run this as root"
	refresh
	DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "${missing[@]}" ||
		fail "cannot install the Debian packages ${missing[*]}"
fi
if ! [ -s "$cache/busybox" ]; then
	refresh
	unpack busybox-static bin/busybox busybox
fi
if ! [ -s "$cache/vmlinuz" ]; then
	refresh
	kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9]\)/\1/p')
	[ -n "$kernel" ] || fail 'there is no Debian package linux-image-cloud-amd64'
	unpack "$kernel" 'boot/vmlinuz-*' vmlinuz
fi

# The machine as QEMU's options and as the tests' JSON.

numa=() nodes='' l3='' siblings=''
for ((n = 0; n < sockets; n++)); do
	first=$((n * cores * threads))
	cpus=$first-$((first + cores * threads - 1))
	numa+=(-object "memory-backend-ram,id=m$n,size=${memory[n]}M" -numa "node,nodeid=$n,cpus=$cpus,memdev=m$n")
	nodes+=",{\"cpus\":\"$cpus\",\"memory_mib\":${memory[n]},\"gigantic\":${gigantic[n]},\"distances\":[${distances[n]}]}"
	l3+=",\"$cpus\""
	for ((cpu_number = first; cpu_number < first + cores * threads; cpu_number += threads)); do
		siblings+=",\"$cpu_number-$((cpu_number + threads - 1))\""
	done
done
numa+=(-numa "dist,src=0,dst=1,val=${distances[0]#*,}" -numa "dist,src=1,dst=0,val=${distances[1]%,*}")

# The initial RAM disk: init, busybox, and a static test binary for each package.

root=$tmp/root
mkdir -p "$root/bin"
install scripts/numa-guest-init "$root/init"
install "$cache/busybox" "$root/bin/busybox"
for package in "${packages[@]}"; do
	mkdir -p "$root/tests/$package"
	CGO_ENABLED=0 GOOS=linux GOARCH=amd64 go test -c -ldflags='-s -w' -o "$root/tests/$package/binary" "./$package"
done
cat >"$root/settings" <<EOF
packages='${packages[*]}'
test_timeout=$(((timeout * 2 + 2) / 3))s
export SDR_NUMA_GUEST=1
export SDR_NUMA_SHAPE='{"nodes":[${nodes#,}],"l3":[${l3#,}],"cores":[${siblings#,}]}'
EOF
(cd "$root" && find . | cpio -o -H newc -R 0:0 --quiet) >"$tmp/initrd"

# The guest. Its kernel talks on the first serial line, its tests on the second. It
# leaves out what costs time under emulation, and lies where it leaves whole GiB.

boot() {
	timeout --foreground --kill-after=5 "$timeout" qemu-system-x86_64 \
		-nodefaults -no-user-config -display none -no-reboot -pidfile "$tmp/pid" \
		-machine pc -accel tcg,thread=multi -cpu "$cpu" \
		-smp "$((sockets * cores * threads)),sockets=$sockets,cores=$cores,threads=$threads" \
		-m "$((memory[0] + memory[1]))" "${numa[@]}" \
		-kernel "$cache/vmlinuz" -initrd "$tmp/initrd" \
		-append "console=ttyS0 quiet panic=-1 oops=panic nokaslr mitigations=off init_on_alloc=0 nowatchdog rcupdate.rcu_cpu_stall_suppress=1 \
			hugepagesz=1G hugepages=0:${gigantic[0]},1:${gigantic[1]}" \
		-serial "file:$tmp/console" -serial stdio </dev/null | tee "$tmp/output"
}

# A guest that has said nothing after a minute hangs while it boots, as one of several
# emulated CPUs does now and then: it is started again, twice at most.
for attempt in 1 2 3; do
	status=0
	began=$SECONDS
	: >"$tmp/output"
	boot &
	guest=$!
	while ! [ -s "$tmp/output" ] && kill -0 "$guest" 2>/dev/null && ((SECONDS - began < 60)); do
		sleep 1
	done
	if ! [ -s "$tmp/output" ] && kill -0 "$guest" 2>/dev/null && ((attempt < 3)); then
		echo "numa-guest: it does not boot: once more"
		kill -KILL "$(cat "$tmp/pid")"
		wait "$guest" || true
		continue
	fi
	wait "$guest" || status=$?
	break
done

# The verdict.

problems=()
took=$((SECONDS - began))
if ((status && took >= timeout)); then
	problems+=("the guest was still running after SDR_GUEST_TIMEOUT=$timeout seconds")
elif ((status)); then
	problems+=("QEMU ended with status $status")
fi
if grep -aq 'Kernel panic' "$tmp/console"; then
	problems+=("the guest's kernel panicked")
fi
for package in "${packages[@]}"; do
	result=$(sed -n "s|^numa-guest: package=$package ||p" "$tmp/output")
	[[ $result =~ ^exit=0\ passed=[1-9][0-9]*\ failed=0\ skipped=0\ left=nothing$ ]] ||
		problems+=("$package: ${result:-came to no result}")
done
grep -aqx 'numa-guest: end' "$tmp/output" || problems+=('the guest did not reach its end')
if ((${#problems[@]})); then
	printf "\nnuma-guest: the guest's kernel said:\n" >&2
	tail -n 40 "$tmp/console" >&2
	printf 'numa-guest: FAILED: %s\n' "${problems[@]}" >&2
	exit 1
fi
echo "numa-guest: passed, in $took s: ${packages[*]}"
