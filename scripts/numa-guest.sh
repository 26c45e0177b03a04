#!/usr/bin/env bash
# Boots a machine with two NUMA nodes, a small Linux guest under QEMU's software
# emulation, and runs in it, as root, the tests named TestNUMAGuest… of every
# package that has a numa_guest_test.go. A package that ran none, or skipped one,
# has failed, and so has one that leaves the machine changed. Then it boots another
# machine, whose only L3 spans two nodes, with a third that has memory and no CPU, for
# those tests that are named TestNUMAGuestAnyShape….
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

# The machines, in this one place: QEMU's options below are made of them, and so is
# what topology's tests compare with. Each socket has one L3. Nothing is alike that
# need not be, so that a test sees what was mixed up.
shape() {
	case $1 in
	sockets) # each is a NUMA node
		sockets=2 cores=2 threads=2
		node_cpus=(0-3 4-7)
		memory=(1280 2240)          # of each node, MiB
		gigantic=(0 1)              # huge pages of 1 GiB; QEMU's "pc" has the addresses 2 to 3 GiB on node 1
		distances=('10,21' '31,10') # from each node
		tests='^TestNUMAGuest'
		;;
	clusters) # a socket of two, as Intel's sub-NUMA clusters are, and memory behind it
		sockets=1 cores=4 threads=1
		node_cpus=(0-1 2-3 '')
		memory=(704 768 640)
		gigantic=(0 0 0)
		distances=('10,12,24' '12,10,28' '24,28,10')
		tests='^TestNUMAGuestAnyShape'
		;;
	esac
}
# An Intel, because a guest finds an AMD's L3 by a CPUID leaf that software
# emulation lacks. No SHA instructions, so that kernels are the generic ones.
cpu='max,vendor=GenuineIntel,sha-ni=off,la57=off'

shopt -s globstar nullglob
files=("${@/%//numa_guest_test.go}")
(($#)) || files=(**/numa_guest_test.go)
((${#files[@]})) || fail 'no package has a numa_guest_test.go'
all_packages=()
for file in "${files[@]}"; do
	[ -r "$file" ] || fail "$file is not there"
	all_packages+=("$(realpath --relative-to=. "$(dirname "$file")")")
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

# A static test binary for each package.

mkdir "$tmp/tests"
for package in "${all_packages[@]}"; do
	mkdir -p "$tmp/tests/$package"
	CGO_ENABLED=0 GOOS=linux GOARCH=amd64 go test -c -ldflags='-s -w' -o "$tmp/tests/$package/binary" "./$package"
done

# describe makes QEMU's options, in numa, and the tests' JSON, in json, of a machine.
describe() {
	local n i first cpus row nodes='' l3='' siblings='' apart=()
	numa=()
	for n in "${!memory[@]}"; do
		cpus=${node_cpus[n]}
		numa+=(-object "memory-backend-ram,id=m$n,size=${memory[n]}M" -numa "node,nodeid=$n${cpus:+,cpus=$cpus},memdev=m$n")
		nodes+=",{\"cpus\":\"$cpus\",\"memory_mib\":${memory[n]},\"gigantic\":${gigantic[n]},\"distances\":[${distances[n]}]}"
		IFS=, read -ra row <<<"${distances[n]}"
		for i in "${!row[@]}"; do
			((i == n)) || apart+=(-numa "dist,src=$n,dst=$i,val=${row[i]}")
		done
	done
	numa+=("${apart[@]}") # once all nodes are known
	for ((first = 0; first < sockets * cores * threads; first += cores * threads)); do
		l3+=",\"$first-$((first + cores * threads - 1))\""
	done
	for ((first = 0; first < sockets * cores * threads; first += threads)); do
		siblings+=",\"$first-$((first + threads - 1))\""
	done
	json="{\"nodes\":[${nodes#,}],\"l3\":[${l3#,}],\"cores\":[${siblings#,}]}"
}

# sum adds numbers.
sum() {
	local n total=0
	for n; do ((total += n)); done
	echo "$total"
}

# run boots a machine, and gives the verdict.
run() {
	shape "$1"
	describe
	local package packages=() dir=$tmp/$1 root=$tmp/$1/root
	for package in "${all_packages[@]}"; do
		! grep -q "func ${tests#^}" "$package/numa_guest_test.go" || packages+=("$package")
	done
	((${#packages[@]})) || return 0

	# The initial RAM disk: init, busybox, and the tests.
	mkdir -p "$root/bin"
	install scripts/numa-guest-init "$root/init"
	install "$cache/busybox" "$root/bin/busybox"
	for package in "${packages[@]}"; do
		mkdir -p "$root/tests/$package"
		ln "$tmp/tests/$package/binary" "$root/tests/$package/binary"
	done
	cat >"$root/settings" <<-EOF
		packages='${packages[*]}'
		tests='$tests'
		test_timeout=$(((timeout * 2 + 2) / 3))s
		export SDR_NUMA_GUEST=1
		export SDR_NUMA_SHAPE='$json'
	EOF
	(cd "$root" && find . | cpio -o -H newc -R 0:0 --quiet) >"$dir/initrd"

	# A guest that has said nothing after a minute hangs while it boots, as one of several
	# emulated CPUs does now and then: it is started again, twice at most.
	local attempt status began guest
	for attempt in 1 2 3; do
		status=0
		began=$SECONDS
		: >"$dir/output"
		boot &
		guest=$!
		while ! [ -s "$dir/output" ] && kill -0 "$guest" 2>/dev/null && ((SECONDS - began < 60)); do
			sleep 1
		done
		if ! [ -s "$dir/output" ] && kill -0 "$guest" 2>/dev/null && ((attempt < 3)); then
			echo "numa-guest: it does not boot: once more"
			kill -KILL "$(cat "$dir/pid")"
			wait "$guest" || true
			continue
		fi
		wait "$guest" || status=$?
		break
	done

	local problems=() took=$((SECONDS - began)) result
	if ((status && took >= timeout)); then
		problems+=("the guest was still running after SDR_GUEST_TIMEOUT=$timeout seconds")
	elif ((status)); then
		problems+=("QEMU ended with status $status")
	fi
	if grep -aq 'Kernel panic' "$dir/console"; then
		problems+=("the guest's kernel panicked")
	fi
	for package in "${packages[@]}"; do
		result=$(sed -n "s|^numa-guest: package=$package ||p" "$dir/output")
		[[ $result =~ ^exit=0\ passed=[1-9][0-9]*\ failed=0\ skipped=0\ left=nothing$ ]] ||
			problems+=("$package: ${result:-came to no result}")
	done
	grep -aqx 'numa-guest: end' "$dir/output" || problems+=('the guest did not reach its end')
	if ((${#problems[@]})); then
		printf "\nnuma-guest: the guest's kernel said:\n" >&2
		tail -n 40 "$dir/console" >&2
		printf "numa-guest: FAILED ($1): %s\n" "${problems[@]}" >&2
		exit 1
	fi
	echo "numa-guest: passed, $1, in $took s: ${packages[*]}"
}

# boot runs the guest. Its kernel talks on the first serial line, its tests on the second. It
# leaves out what costs time under emulation, and lies where it leaves whole GiB.
boot() {
	local n pages=''
	for n in "${!gigantic[@]}"; do
		((gigantic[n] == 0)) || pages+=",$n:${gigantic[n]}"
	done
	timeout --foreground --kill-after=5 "$timeout" qemu-system-x86_64 \
		-nodefaults -no-user-config -display none -no-reboot -pidfile "$dir/pid" \
		-machine pc -accel tcg,thread=multi -cpu "$cpu" \
		-smp "$((sockets * cores * threads)),sockets=$sockets,cores=$cores,threads=$threads" \
		-m "$(sum "${memory[@]}")" "${numa[@]}" \
		-kernel "$cache/vmlinuz" -initrd "$dir/initrd" \
		-append "console=ttyS0 quiet panic=-1 oops=panic nokaslr mitigations=off init_on_alloc=0 nowatchdog rcupdate.rcu_cpu_stall_suppress=1 \
			${pages:+hugepagesz=1G hugepages=${pages#,}}" \
		-serial "file:$dir/console" -serial stdio </dev/null | tee "$dir/output"
}

run sockets
run clusters
