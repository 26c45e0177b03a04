#!/usr/bin/env bash
# damocles' side of an external processor, on the crate that damocles-worker uses, and ours on the
# other: all that CHECK tries, then ROUNDS times kill -9 of the child at work, which the crate starts
# again. Needs cargo and python3.
#
#   [ROUNDS=100] scripts/damocles.sh SDRBENCH
#   scripts/damocles.sh build       only builds damocles' side
#
# The exit code is 77 where CHECK, cargo or the registry of its crates is not to be had: then there is nothing to
# try. What does not compile is an error.
#
# CHECK=FILE is another check.sh than that of ../shared, PARENT=FILE damocles' side as it is.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
check=${CHECK:-$here/../../shared/hosts/damocles-parent/check.sh}

# cannot says why damocles' side is not there, which is no fault of ours.
cannot() {
	echo "damocles: $1" >&2
	exit 77
}

[[ -x $check ]] || cannot "$check is not there: set CHECK to the check.sh of damocles-parent"
if [[ -z ${PARENT:-} ]]; then
	target=$(realpath -m "${CARGO_TARGET_DIR:-$here/../bin/damocles-parent}")
	PARENT=$target/debug/damocles-parent
	command -v cargo >/dev/null || cannot 'there is no cargo, which damocles-parent is built with'
	# Always in the same place, so that cargo sees what has changed since.
	from=$(dirname "$check")
	for file in Cargo.toml $(cd "$from" && find src -type f); do
		install -D -p -m 644 "$from/$file" "$target/source/$file"
	done
	(
		cd "$target/source"
		export CARGO_TARGET_DIR=$target
		cargo metadata --quiet --no-deps --offline --format-version=1 >/dev/null # is Cargo.toml right?
		# Its crates come from a registry: cargo tree gets those that are built here. If that is out of reach, it shows soon.
		CARGO_NET_RETRY=1 CARGO_HTTP_TIMEOUT=20 timeout 240 cargo tree --quiet --edges=normal,build >/dev/null ||
			cannot 'the registry of the crates that damocles-parent needs is out of reach'
		cargo build --quiet --offline --bin damocles-parent
	)
fi
PARENT=$(realpath "$PARENT")
export PARENT
[[ ${1:?} != build ]] || exit 0

child=$(realpath "$1")
export WORK
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
export SDR_LOCK_DIR=$WORK/locks RUST_LOG=off RUST_BACKTRACE=0 SDR_PROFILE=none
# With a slow kernel: CHECK kills after half a second, by when a fast one may be done. The others are killed below.
SDR_KERNEL=generic/1 "$check" "$child"

python3 - "$child" "${ROUNDS:-100}" <<'PYTHON'
import collections, concurrent.futures, json, os, random, shutil, signal, subprocess, sys, threading, time

child, rounds = sys.argv[1], int(sys.argv[2])
work, parent = os.environ['WORK'], os.environ['PARENT']
# The crate waits for 3 seconds before it starts a child again. Meanwhile others are killed.
WORKERS = 8
SIZES = {'pc1-2k': 12, 'pc1-8m': 1} # how many sectors a round has
WAYS = [[], ['--batch', '4', '--batch-wait', '50ms'], ['--work-dir', 'DIR/work']]

class Wrong(Exception): pass

class Killer:
    """Kills children of its own, one after another, that work on sectors of its own."""
    def __init__(self, number):
        self.dir, self.log = f'{work}/killer-{number}', f'{work}/killer-{number}.err'
        self.cases, self.allowed = {}, set()
        for name in SIZES:
            with open(f'{work}/{name}.json') as f: self.cases[name] = json.loads(f.read().replace(f'"{work}/', f'"{self.dir}/'))
            for case in self.cases[name]:
                os.makedirs(os.path.dirname(case['staged']))
                shutil.copy(case['staged'].replace(self.dir, work), case['staged'])
                self.allowed |= {case['staged'], case['sealed']} | {os.path.join(case['cache'], name) for name in case['files']}
        os.makedirs(self.dir + '/work')
        os.mkdir(self.dir + '.locks', 0o755)
        self.all_took = dict.fromkeys(SIZES, 0.3) # seconds from requests to the last reply, until it is known

    def begun(self):
        """What unfinished files are there of, the last of them by name."""
        names = sorted(os.path.basename(f).split('.')[1] for f in self.files() if os.path.basename(f).startswith('.'))
        return names[-1] if names else None

    def kill(self, pid, after):
        """Kills a process at a random moment after its first file has begun, or leaves that to the parent, AFTER seconds from now."""
        start = time.monotonic()
        while not self.begun():
            if time.monotonic() - start > after: return
            time.sleep(0.001)
        time.sleep(random.uniform(0, max(0.005, self.took - (time.monotonic() - start))))
        try: os.kill(pid, signal.SIGKILL)
        except ProcessLookupError: pass

    def files(self): return {os.path.join(d, name) for d, _, names in os.walk(self.dir) for name in names}

    def round(self):
        """Kills a child and lets damocles go on. Returns what it was about, or None if all its replies were out."""
        size, way = random.choice(list(SIZES)), random.choice(WAYS)
        cases = random.sample(self.cases[size], SIZES[size])
        with open(self.dir + '.json', 'w') as f: json.dump(cases, f)
        self.took = self.all_took[size]
        # Every fourth is killed at any moment, since the beginning too; the others when labels, or tree-d, have begun.
        aimed = random.random() < 0.75
        after = 3 + self.took if aimed else random.uniform(0.02, max(0.05, self.took))
        command = [parent, '--timeout', '300', '--kill-after', f'{after:.4f}', '--cases', self.dir + '.json', '--', child, 'processor', 'pc1', *(a.replace('DIR', self.dir) for a in way)]
        def wrong(what):
            with open(self.log) as f: raise Wrong(f'{what}\n{" ".join(command)}\n{f.read()[-2000:]}')
        killed, sealed, seconds = None, 0, []
        with open(self.log, 'w') as err, subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err, text=True, env={**os.environ, 'SDR_LOCK_DIR': self.dir + '.locks'}) as p:
            for line in p.stdout:
                v = json.loads(line)
                if v.get('check') == 'ready' and aimed: self.kill(v['pid'], after)
                # Its reply was out before, or it was not sent any more.
                if v.get('round') == 'killed' and ('expected_error' in v or 'write request data' in v.get('error', '')): continue
                if not v['ok']: wrong(line[:2000])
                if v.get('round') == 'killed' and killed is None:
                    # Nobody works now, for 3 seconds.
                    killed = self.begun() or 'no file'
                if v.get('round') == 'run':
                    sealed += 1
                    seconds.append(v['seconds'])
        if sealed != len(cases): wrong(f'{sealed} of {len(cases)} sectors were sealed')
        left = self.files() - self.allowed
        if left: wrong(f'left: {sorted(left)}')
        self.all_took[size] = max(seconds)
        return killed and (size[4:], killed)

def kill(number):
    killer = Killer(number)
    while True:
        with lock:
            if state['begun'] == rounds or state['failed']: return
            state['begun'] += 1
        try: what = killer.round()
        except BaseException:
            with lock: state['failed'] = True
            raise
        with lock:
            if what: seen[what] += 1
            else: # the kill came when all replies were out
                state['begun'] -= 1
                state['late'] += 1
                if state['late'] > 2 * rounds + 10: raise Wrong('too few of the kills came at work')

lock, state, seen = threading.Lock(), {'begun': 0, 'late': 0, 'failed': False}, collections.Counter()
with concurrent.futures.ThreadPoolExecutor() as pool:
    try:
        for done in [pool.submit(kill, n) for n in range(min(WORKERS, rounds))]: done.result()
    except Wrong as e: sys.exit(f'damocles: {e}')
for (size, what), n in sorted(seen.items()): print(f'{n:5}  killed with sectors of {size}, {what} begun')
print(f'{sum(seen.values())} rounds of kill -9 at work: golden files, nothing left over')
PYTHON
