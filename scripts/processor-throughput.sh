#!/usr/bin/env bash
# How much more `sdrbench processor pc1` seals when SECTORS requests come at once than when they
# come one after another: both times, and their ratio. All files are the same in the end.
#
#   scripts/processor-throughput.sh SDRBENCH [--size 8MiB|512MiB|2KiB] [--sectors 8] [--rounds 3] [--dir DIR] [-- FLAGS OF PROCESSOR PC1]
exec python3 - "$@" <<'PYTHON'
import argparse, hashlib, json, os, shutil, statistics, subprocess, sys, tempfile, time

parser = argparse.ArgumentParser(prog='processor-throughput.sh')
parser.add_argument('sdrbench')
parser.add_argument('--size', default='512MiB', choices=['2KiB', '8MiB', '512MiB', '32GiB'])
parser.add_argument('--sectors', type=int, default=8)
parser.add_argument('--rounds', type=int, default=3)
parser.add_argument('--dir', help='where sectors are made (default: a temporary directory)')
parser.add_argument('--wait', default='2s', help='--batch-wait of those that come at once')
argv, more = sys.argv[1:], []
if '--' in argv:
    argv, more = argv[:argv.index('--')], argv[argv.index('--') + 1:]
args = parser.parse_args(argv)
work = tempfile.mkdtemp(prefix='processor-throughput-', dir=args.dir)
os.environ.setdefault('SDR_LOCK_DIR', work + '/locks')

def sector(number):
    d = f'{work}/{number}'
    shutil.rmtree(d, ignore_errors=True)
    os.makedirs(d + '/cache')
    open(d + '/sealed', 'w').close()
    return {'registered_proof': f'StackedDrg{args.size}V1_1', 'cache_path': d + '/cache', 'in_path': '/dev/zero', 'out_path': d + '/sealed',
            'prover_id': [232, 7] + [0] * 30, 'sector_id': number, 'ticket': [7] * 32, 'piece_infos': []}

def run(together):
    """seals all sectors and returns the seconds from the first request to the last reply."""
    tasks = [sector(n) for n in range(args.sectors)]
    flags = ['--batch', str(args.sectors), '--batch-wait', args.wait] if together else []
    child = subprocess.Popen([args.sdrbench, 'processor', 'pc1', *flags, *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    assert child.stdout.readline() == 'pc1 processor ready\n'
    def send(n): child.stdin.write(json.dumps({'id': n, 'task': tasks[n]}) + '\n'); child.stdin.flush()
    def reply():
        r = json.loads(child.stdout.readline())
        if r['err_msg']: sys.exit(f"{r['id']}: {r['err_msg']}")
    warm = sector(args.sectors)  # kernels are timed when the first sector comes
    tasks.append({**warm, 'registered_proof': 'StackedDrg2KiBV1_1'})
    send(args.sectors); reply()
    start = time.monotonic()
    for n in range(args.sectors):
        send(n)
        if not together: reply()
    if together:
        for n in range(args.sectors): reply()
    took = time.monotonic() - start
    child.stdin.close()
    assert child.wait() == 0
    return took

def digests():
    out = []
    for n in range(args.sectors):
        for name in sorted(os.listdir(f'{work}/{n}/cache')):
            with open(f'{work}/{n}/cache/{name}', 'rb') as f: out.append((n, name, hashlib.file_digest(f, 'sha256').hexdigest()))
    return out

try:
    apart, joined = [], []
    for round in range(args.rounds):
        apart.append(run(False)); one = digests()
        joined.append(run(True))
        if digests() != one: sys.exit('the files differ')
        print(f'round {round + 1}: {args.sectors} sectors of {args.size}: one after another {apart[-1]:.2f} s, at once {joined[-1]:.2f} s, ratio {apart[-1] / joined[-1]:.2f}', flush=True)
    print(f'median: one after another {statistics.median(apart):.2f} s, at once {statistics.median(joined):.2f} s (with a wait of {args.wait}), ratio {statistics.median(apart) / statistics.median(joined):.2f}')
finally:
    shutil.rmtree(work, ignore_errors=True)
PYTHON
