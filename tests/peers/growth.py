"""Prints how time and memory grow with the work, as tables in Markdown.

    cargo build --release --workspace --examples
    python3 tests/peers/growth.py [batch resolution rank rank-sd15 adapters engine start]

Needs Python's standard library alone.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import processes
from processes import MEASURE, PARA, ROOT


def measure(env, **arguments):
    words = [word for name, value in arguments.items() for word in (f"--{name}", str(value))]
    return processes.report([MEASURE, *words], env)


def milliseconds(report):
    return 1000 * statistics.median(report["seconds"])


def megabytes(report):
    return report["peak_bytes"] / 1e6


def table(head, rows):
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |", flush=True)
    print()


def cells(report):
    return f"{milliseconds(report):.1f}", f"{megabytes(report):.0f}"


WORK = ["forward ms", "MB", "PaRa step ms", "MB", "recomputing ms", "MB"]


def grown(env, **arguments):
    forward = measure(env, work="forward", warmup=2, repetitions=8, **arguments)
    step = dict(work="para", rank=4, warmup=2, repetitions=6, **arguments)
    return (*cells(forward), *cells(measure(env, **step)), *cells(measure(env, checkpoint="block", **step)))


def batch(env):
    """Shipped model, latents of 16², by batch."""
    table(["batch", *WORK], ((n, *grown(env, model="shipped", batch=n)) for n in (1, 2, 4, 8, 16)))


def resolution(env):
    """Shipped model, batch 1, by side of the latents."""
    table(["latents", *WORK], ((f"{n}²", *grown(env, model="shipped", latent=n)) for n in (16, 24, 32, 48, 64)))


def ranks(env, ranks, **arguments):
    rows = []
    for rank in ranks:
        # Alternating, since the machine's speed drifts.
        pairs = [[measure(env, work=kind, rank=rank, **arguments) for kind in ("para", "lora")] for _ in range(3)]
        para, lora = (min(side, key=milliseconds) for side in zip(*pairs))
        ratios = [milliseconds(p) / milliseconds(l) for p, l in pairs]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
        rows.append((rank, *cells(para), para["trained"], *cells(lora), lora["trained"], spread))
    table(["rank", "PaRa ms", "MB", "parameters", "LoRA ms", "MB", "parameters", "time ratio (range)"], rows)


def rank(env):
    """A training step of PaRa against our own LoRA, shipped model, batch 1, by rank."""
    ranks(env, (2, 4, 8, 16, 32, 64, 128), model="shipped", warmup=3, repetitions=15)


def rank_sd15(env):
    """A training step of PaRa against our own LoRA, widths of SD 1.5, batch 1, latents of 16², by rank."""
    ranks(env, (2, 8, 32, 128), model="sd15", latent=16, warmup=1, repetitions=3)


def adapters(env):
    """Merging PaRas of rank 4 and taking them out of the shipped model's weights, by their number."""
    found = ((n, *cells(measure(env, work="adapters", adapters=n, rank=4))) for n in (1, 2, 4, 8, 16, 32))
    table(["adapters", "ms", "MB"], found)


def once(command, env, count):
    """The median of whole processes, in milliseconds."""
    return 1000 * statistics.median(processes.whole(command, env)["seconds"][0] for _ in range(count))


def chain(folder, length):
    """A graph of so many nodes in a row, each with a size of its own, so that none is like another."""
    picture = ROOT / "graphs/assets/subjects/dog/0.png"
    nodes = {"n0": {"type": "load/images", "params": {"path": str(picture)}}}
    for index in range(1, length):
        nodes[f"n{index}"] = {
            "type": "image/resize", "inputs": {"images": f"n{index - 1}.images"},
            "params": {"width": 1 + index // 1000, "height": 1 + index % 1000},
        }
    path = pathlib.Path(folder, f"chain{length}.json")
    path.write_text(json.dumps({"paragraph": 1, "nodes": nodes}))
    return path


def engine(env):
    """What the engine costs for each node of a chain of image/resize, in microseconds: the slope between two lengths."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        store = ["--store", f"{folder}/store"]
        for name, words, short, long, count in [
            ("check", ["check"], 1_000, 10_000, 5),
            ("plan, nothing stored", ["plan", *store], 1_000, 10_000, 5),
            ("run, nothing stored: execute and store", ["run", *store], 200, 2_000, 1),
            ("run, all stored", ["run", *store], 200, 2_000, 5),
        ]:
            low, high = (once([PARA, *words, chain(folder, length)], env, count) for length in (short, long))
            rows.append((name, f"{low:.1f}", f"{high:.1f}", short, long, f"{1000 * (high - low) / (long - short):.1f}"))
    table(["command", "short ms", "long ms", "nodes", "nodes", "µs a node"], rows)


def start(env):
    """Start-up: whole processes, medians of 20."""
    hello = ROOT / "graphs/hello.json"
    with tempfile.TemporaryDirectory() as folder:
        store = ["--store", f"{folder}/store", "--set", f"save.directory={folder}/out"]
        subprocess.run([PARA, "run", hello, *store], env=env, check=True, capture_output=True)
        commands = [
            ("para --version", ["--version"]), ("para nodes", ["nodes"]), ("para check hello.json", ["check", hello]),
            ("para run hello.json, all stored", ["run", hello, *store]),
        ]
        rows = [(name, f"{once([PARA, *words], env, 20):.1f}") for name, words in commands]
    table(["command", "ms"], rows)


PARTS = {part.__name__.replace("_", "-"): part for part in (batch, resolution, rank, rank_sd15, adapters, engine, start)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all if none is given")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    unknown = [name for name in args.parts if name not in PARTS]
    if unknown:
        sys.exit(f"no such part: {', '.join(unknown)}; choose from {', '.join(PARTS)}")
    env = processes.ours(args.threads)
    for name in args.parts or PARTS:
        began = time.perf_counter()
        print(f"{PARTS[name].__doc__}\n", flush=True)
        PARTS[name](env)
        print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
