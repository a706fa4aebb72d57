#!/usr/bin/env bash
# Checks the GPU path on a machine with one NVIDIA GPU in under ten minutes; gpu-check.md beside it explains the output.
# Needs Python 3.11 or newer with torch, pytest and pytest-benchmark, and no package index: this clone need not be
# installed, and wheels of packages that the machine lacks (such as msgspec) may lie in .whl.
# OUT=folder: where the results go (default: results/gpu).
cd "$(dirname "$0")/.." || exit 2
OUT=${OUT:-results/gpu}
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
mkdir -p "$OUT" "$T/site"
export PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 TORCHDUET_LOCK=$T/lock PYTHONPATH=$PWD:$T/site
PYTEST=(python3 -m pytest -p no:cacheprovider)
FAILED=0
SUMMARY=()
RUNNING=

part() { # NAME SECONDS COMMAND...: run it for so long at most, and keep what became of it
    local name=$1 limit=$2 status word
    shift 2
    printf '\n== %s (at most %s s)\n' "$name" "$limit"
    set -m # else what runs in the background ignores INT
    timeout -k 30 -s INT "$limit" "$@" <&0 & # a run that is interrupted writes its JSON, which takes some seconds
    RUNNING=$!
    set +m
    wait "$RUNNING"
    status=$?
    RUNNING=
    case $status in
        0) word=ok ;;
        124 | 137) word="stopped after $limit s" ;;
        *) word="failed (exit status $status)" ;;
    esac
    [ "$status" = 0 ] || FAILED=1
    SUMMARY+=("$(printf '%-46s %s' "$name" "$word")")
}

stop() { # on Ctrl-C, which timeout's process group is not told of: end the part that runs, and begin no other
    trap '' INT
    if [ -n "$RUNNING" ]; then
        kill -INT "$RUNNING" 2>/dev/null
        wait "$RUNNING"
    fi
    printf '\n== interrupted\n'
    exit 130
}

can_run() { # one line for each reason why nothing can be checked here
    python3 - <<'PY'
import importlib.util
import sys

if sys.version_info < (3, 11):
    sys.exit(f"this Python is {sys.version.split()[0]}: Torchduet needs 3.11 or newer")
needed = ("torch", "numpy", "pytest", "pytest_benchmark", "msgspec", "cloudpickle", "tqdm")
missing = [name for name in needed if importlib.util.find_spec(name) is None]
if missing:
    sys.exit(f"this Python lacks {', '.join(missing)}: put the wheels into .whl, or install them")
useful = {"pandas": "the report", "matplotlib": "the report", "jinja2": "the report", "pynvml": "power and clocks"}
for name, what in useful.items():
    if importlib.util.find_spec(name) is None:
        print(f"this Python lacks {name}: without it there is no {what}; wheels in .whl are used")
import torch

if torch.version.cuda is None:
    sys.exit(f"torch {torch.__version__} is a CPU build: install one for CUDA, see pytorch.org/get-started")
if not torch.cuda.is_available():
    sys.exit("PyTorch finds no CUDA GPU here; nvidia-smi shows what the driver sees")
PY
}

machine() {
    nvidia-smi
    nvidia-smi -q -d CLOCK,PERFORMANCE,POWER
    command -v gcc || echo "there is no gcc: Triton needs a C compiler, so compiled cases are skipped"
    echo "cores: $(nproc); quota: $(cat /sys/fs/cgroup/cpu.max 2>/dev/null || echo unknown)"
    df -h /dev/shm
    python3 -m pip list 2>/dev/null | grep -iE '^(torch|triton|pytest|nvidia-ml|numpy|pandas|msgspec)'
}

check() {
    trap stop INT
    if ls .whl/*.whl >"$T/wheels" 2>/dev/null; then
        python3 -m pip install -q --no-index --no-deps --no-compile --upgrade --target "$T/site" .whl/*.whl
    fi
    can_run || return 2
    machine

    part "the clock: block, long block, device alone" 40 python3 - <<'PY'
import statistics
import sys

import torch
from torchduet.bench.timing.cuda_clock import CudaClock

LAUNCH_BOUND = 0.7  # of the device's time: above it a block can have gaps, in which the device waits for the host
clock, far, compared = CudaClock("cuda:0"), [], 0
for n in (256, 1024, 2048, 4096):
    a = torch.randn(n, n, device="cuda:0").bfloat16()

    def lead_in(a=a):
        torch.mm(a, a)

    def block(calls, a=a, lead_in=lead_in):
        return clock.block(torch.mm, (a, a), calls, before=lead_in)

    each = statistics.median(block(300).seconds for _ in range(5))
    calls = max(1, round(300e-6 / each))
    launch = statistics.median(block(calls).host for _ in range(5))
    turns = [
        (block(calls).seconds, block(300).seconds, clock.behind_delay(torch.mm, (a, a), calls, launch))
        for _ in range(40)
    ]
    alone = [found.seconds for _, _, found in turns if found is not None]
    short, long = (statistics.median(turn[place] for turn in turns) * 1e6 for place in (0, 1))
    device = statistics.median(alone) * 1e6 if alone else float("nan")
    apart = max(short, long, device) / min(short, long, device) - 1 if alone else float("inf")
    bound = launch * 1e6 >= LAUNCH_BOUND * (device if alone else min(short, long))
    print(
        f"{n:5}: block of {calls:3} {short:8.2f} us, of 300 {long:8.2f} us, device alone {device:8.2f} us: {apart:.1%}, "
        f"launching {launch * 1e6:.2f} us{', launch-bound' if bound else ''}"
    )
    if n >= 1024 and not bound:
        compared += 1
        far += [str(n)] if not apart <= 0.02 else []
if far or not compared:
    sys.exit(f"more than 2 % apart: products of {', '.join(far)}" if far else "all products are launch-bound")
PY

    part "the tests marked cuda" 150 "${PYTEST[@]}" tests/bench/test_on_gpu.py tests/bench/test_clock.py \
        -m cuda -k "not every_mode" -ra --durations=20

    part "identical code against itself (A/A)" 80 "${PYTEST[@]}" bench/ -q --device cuda --tier default \
        --case 'matmul.square[n=1024] *' --case 'matmul.square[n=2048] *' \
        --aa --slowdowns 3% --budget 50s --benchmark-json "$OUT/aa.json" --benchmark-quiet
    part "the ratios of identical code" 10 python3 - "$OUT/aa.json" <<'PY'
import json
import sys
from pathlib import Path

path = Path(sys.argv[1])
if not path.exists():
    sys.exit(f"there is no {path}: nothing was measured")
records = [entry["extra_info"].get("torchduet", {}) for entry in json.loads(path.read_text())["benchmarks"]]
ratios = {
    record["case"]["id"]: trial["ratio"]
    for record in records
    for trial in record.get("trials", ())
    if trial["slowdown"] == 1
}
far = 0
for name, ratio in ratios.items():
    print(f"{name}: {ratio - 1:+.2%}")
    far += abs(ratio - 1) > 0.01
sys.exit(f"{far} of {len(ratios)} are more than 1 % from 1" if far or not ratios else 0)
PY

    part "a run of the quick tier" 170 "${PYTEST[@]}" bench/ -q --device cuda --budget 100s \
        --profile='matmul.square[n=4096] *' --trace-dir "$T/traces" \
        --benchmark-json "$OUT/run.json" --benchmark-quiet
    part "its report" 20 python3 -m torchduet render "$OUT/run.json" -o "$OUT/report.html"
    part "its trace" 5 sh -c 'cp "$(ls "$1"/traces/*/*.gz | head -1)" "$2/trace.json.gz"' sh "$T" "$OUT"

    part "eager, compiled and graphs of a training step" 110 "${PYTEST[@]}" bench/ -q --suite mlp --device cuda \
        -k "train_784_100_10 and batch4096" --precision fp32,bf16,fp16 --mode eager,compile,reduce-overhead,graph \
        --budget 60s --benchmark-json "$OUT/modes.json" --benchmark-quiet

    printf '\n== summary\n'
    printf '%s\n' "${SUMMARY[@]}"
    return "$FAILED"
}

check 2>&1 | tee -i "$OUT/log.txt"
exit "${PIPESTATUS[0]}"
