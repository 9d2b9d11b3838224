"""Alternates this project and PyTorch on the same work and prints ratios, as a table in Markdown.

    cargo build --release --workspace --examples
    PYTHON=/path/to/python3 python3 tests/peers/compare.py ROW...

Each pair of processes gives one ratio of medians; the table has the median of these and their range. Below 1 this project
is faster, or smaller. PYTHON must have torch, diffusers, transformers and peft (tests/peers/requirements.txt).
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile

import processes
from processes import HERE, MEASURE, PARA, ROOT

WHOLE = "multi_subject.json, whole process"
# Name, arguments of both sides, bound on time, bound on memory. A step is PaRa here and LoRA there, unless it says otherwise.
ROWS = [
    ("forward shipped, batch 2", "--work forward --model shipped --batch 2 --repetitions 40", 1.0, 1.0),
    ("forward SD 1.5, batch 2, 32²", "--work forward --model sd15 --batch 2 --latent 32 --repetitions 3", 1.0, 1.0),
    ("forward SD 1.5, batch 2, 64²", "--work forward --model sd15 --batch 2 --latent 64 --repetitions 2", 1.0, 1.0),
    ("forward SD 1.5 bf16, batch 2, 32²",
     "--work forward --model sd15 --batch 2 --latent 32 --precision bf16 --repetitions 3", 1.0, None),
    ("forward SDXL, batch 1, 64²", "--work forward --model sdxl --batch 1 --latent 64 --repetitions 1", 1.0, 1.0),
    ("step shipped, rank 4, batch 1", "--work lora --model shipped --rank 4 --repetitions 30 --warmup 3", 1.0, None),
    ("step shipped, rank 4, batch 4",
     "--work lora --model shipped --rank 4 --batch 4 --repetitions 15 --warmup 3", 1.0, None),
    ("step 12.5 M, rank 4, batch 2", "--work lora --model small --rank 4 --batch 2 --repetitions 8", 1.0, None),
    ("step SD 1.5, rank 4, batch 1, 32²",
     "--work lora --model sd15 --rank 4 --batch 1 --latent 32 --repetitions 2", 1.0, None),
    ("step shipped, both PaRa", "--work para --model shipped --rank 4 --repetitions 30 --warmup 3", None, None),
    ("DDIM shipped, 50 steps, batch 1", "--work ddim --model shipped --batch 1 --repetitions 3 --warmup 0", 0.7, None),
    ("DDIM shipped, 50 steps, batch 8", "--work ddim --model shipped --batch 8 --repetitions 1 --warmup 0", 0.7, None),
    (WHOLE, "", 0.6, 0.5),
]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", help="parts of row names; all but SDXL if none is given")
    parser.add_argument("--list", action="store_true", help="only list the rows")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--as-installed", action="store_true", help="leave MKL its slow path on processors other than Intel's")
    parser.add_argument("--json", type=pathlib.Path, help="also write every measurement to this file")
    return parser.parse_args()


def unlocked(env, folder):
    """MKL asks who made the processor before it uses AVX-512. The peer shall have its best: this says Intel."""
    compiler = shutil.which("cc")
    if "GenuineIntel" in pathlib.Path("/proc/cpuinfo").read_text() or not compiler:
        return env
    source, library = pathlib.Path(folder) / "intel.c", pathlib.Path(folder) / "intel.so"
    source.write_text("int mkl_serv_intel_cpu_true(void) { return 1; }\n")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    return dict(env, LD_PRELOAD=str(library))


def graph(args, ours_env, peer_env, python):
    """The graph from nothing: an empty store for us, one script for PyTorch."""
    pairs = []
    for _ in range(args.pairs):
        with tempfile.TemporaryDirectory() as folder:
            out = f"{folder}/ours"
            mine = processes.whole([
                PARA, "run", ROOT / "graphs/multi_subject.json", "--store", f"{folder}/store",
                "--set", f"save.directory={out}", "--set", f"save_compare.directory={out}",
            ], ours_env)
            peer = processes.whole([python, HERE / "multi_subject.py", "--threads", str(args.threads), "--out", f"{folder}/peer"], peer_env)
            made = [sorted(file.name for file in pathlib.Path(folder, side).iterdir()) for side in ("ours", "peer")]
            if made[0] != made[1]:
                sys.exit(f"{WHOLE}: {made[0]} here, {made[1]} in PyTorch")
        pairs.append((mine, peer))
    return pairs


def compare(row, args, ours_env, peer_env):
    name, work, _, _ = row
    python = os.environ.get("PYTHON", "python3")
    if name == WHOLE:
        return graph(args, ours_env, peer_env, python)
    words = work.split() + ["--threads", str(args.threads)]
    our_words = ["para" if word == "lora" else word for word in words]
    pairs = []
    for _ in range(args.pairs):
        mine = processes.report([MEASURE, *our_words], ours_env)
        peer = processes.report([python, HERE / "torch_work.py", *words], peer_env)
        for key in ("parameters", "latent", "threads"):
            if mine[key] != peer[key]:
                sys.exit(f"{name}: {key} differ: {mine[key]} here, {peer[key]} in PyTorch")
        pairs.append((mine, peer))
    return pairs


def spread(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def line(row, pairs):
    name, _, time_bound, memory_bound = row
    median = [[statistics.median(side["seconds"]) for side in pair] for pair in pairs]
    times = [mine / peer for mine, peer in median]
    memory = [mine["peak_bytes"] / peer["peak_bytes"] for mine, peer in pairs]
    cells = [name]
    cells += [f"{1000 * statistics.median(side):.1f}" for side in zip(*median)]
    cells += [spread(times), str(time_bound or "")]
    cells += [f"{statistics.median(s['peak_bytes'] for s in side) / 1e6:.0f}" for side in zip(*pairs)]
    cells += [f"{statistics.median(memory):.2f}", str(memory_bound or "")]
    return "| " + " | ".join(cells) + " |"


HEAD = """| work | ours ms | PyTorch ms | time ratio (range) | bound | ours MB | PyTorch MB | memory ratio | bound |
|---|---|---|---|---|---|---|---|---|"""


def main():
    args = arguments()
    if args.list:
        print("\n".join(f"{name}: {work}" for name, work, _, _ in ROWS))
        return
    wanted = [row for row in ROWS if any(part in row[0] for part in args.rows) or (not args.rows and "SDXL" not in row[0])]
    if not wanted:
        sys.exit("no such row: --list lists them")
    env = processes.environment(args.threads)
    everything = {}
    with tempfile.TemporaryDirectory() as folder:
        peer_env = env if args.as_installed else unlocked(env, folder)
        print(f"{platform.machine()}, {args.threads} threads, {args.pairs} alternating pairs\n\n{HEAD}", flush=True)
        for row in wanted:
            everything[row[0]] = compare(row, args, processes.ours(args.threads), peer_env)
            print(line(row, everything[row[0]]), flush=True)
    if args.json:
        args.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
