"""Prints how time and memory grow with the work, as tables in Markdown.

    cargo build --release --workspace --examples
    python3 tests/peers/growth.py [batch resolution rank rank-sd15 adapters start budget live]

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


def start(env):
    """Start-up: whole processes, medians of 20. Nothing executes in those with all stored."""
    hello, subjects = ROOT / "graphs/hello.json", ROOT / "graphs/multi_subject.json"
    with tempfile.TemporaryDirectory() as folder:
        store = ["--store", f"{folder}/store"]
        graphs = {
            hello: [*store, "--set", f"save.directory={folder}/out"],
            subjects: [*store, *elsewhere(subjects, folder)],
        }
        for graph, words in graphs.items():
            subprocess.run([PARA, "run", graph, *words], env=env, check=True, capture_output=True)
            again = events([PARA, "run", graph, *words, "--events", "json"], env)
            if any(event["event"] in ("started", "loaded") for event in again):
                sys.exit(f"{graph}: something executes in a second run")
        commands = [
            ("para --version", ["--version"]), ("para nodes", ["nodes"]), ("para check hello.json", ["check", hello]),
            *((f"para run {graph.name}, all stored", ["run", graph, *words]) for graph, words in graphs.items()),
        ]
        rows = [(name, f"{once([PARA, *words], env, 20):.1f}") for name, words in commands]
    table(["command", "ms"], rows)


def elsewhere(graph, folder):
    """Settings that make a graph's savers write into this folder."""
    nodes = json.loads(graph.read_text())["nodes"].items()
    savers = {"image/save": ("directory", "out"), "adapter/save": ("path", "out/adapter"), "table/save": ("path", "out/table")}
    found = ((name, node, savers[node["type"]]) for name, node in nodes if node["type"] in savers)
    for name, node, (param, default) in found:
        place = pathlib.Path(node.get("params", {}).get(param, default)).name
        yield from ("--set", f"{name}.{param}={folder}/out/{place}")


def events(command, env):
    ran = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in ran.stdout.splitlines()]


def two_trainings(folder):
    """A graph of two trainings of batch 16 that keep their activations: each takes more than the model."""
    assets = ROOT / "graphs/assets"
    inputs = {"model": "base.model", "text": "base.text", "vae": "base.vae", "images": "dogs.images"}
    params = {"prompt": "a sks dog", "rank": 2, "steps": 4, "batch": 16, "checkpoint": "none"}
    nodes = {
        "base": {"type": "load/model", "params": {"path": str(assets / "emoji-xl")}},
        "dogs": {"type": "load/images", "params": {"path": str(assets / "subjects/dog")}},
        **{name: {"type": "para/train", "inputs": inputs, "params": {**params, "seed": seed}} for seed, name in enumerate("ab")},
    }
    graph = pathlib.Path(folder) / "two.json"
    graph.write_text(json.dumps({"paragraph": 1, "nodes": nodes}))
    return graph


def budget(env):
    """Peaks under --memory, above that of a process that only resizes pictures: multi_subject.json with short trainings and
    drawings, and two trainings of batch 16. Which steps waited for room, and which said that they never fit."""
    subjects = ROOT / "graphs/multi_subject.json"
    short = [word for name in ("dog.steps=10", "teapot.steps=10", "draw.steps=4", "plain_draw.steps=4") for word in ("--set", name)]
    rows, base = [], None
    for name, budgets in (("multi_subject", (None, 400, 300, 250, 220, 200)), ("two trainings", (None, 600, 470, 400, 200))):
        for budget in budgets:
            with tempfile.TemporaryDirectory() as folder:
                store = ["--store", f"{folder}/store", "--events", "json"]
                command = [PARA, "run", subjects, *store, *elsewhere(subjects, folder)]
                if base is None:
                    base = megabytes(processes.whole([*command, "--target", "dogs_small"], env))
                command = [*command, *short] if name == "multi_subject" else [PARA, "run", two_trainings(folder), *store]
                command += ["--memory", f"{budget}MB"] if budget else []
                with open(f"{folder}/events", "w+") as told:
                    peak = megabytes(processes.whole(command, env, told)) - base
                    told.seek(0)
                    told = [json.loads(line) for line in told]
            waited = {e["node"] for e in told if e["event"] == "waiting" and "room" in e["why"]}
            larger = {e["node"] for e in told if e["event"] == "log" and "(--memory)" in e["text"]}
            rows.append((name, budget or "default", f"{peak:.0f}", *(", ".join(sorted(s)) or "none" for s in (waited, larger))))
    table(["graph", "--memory MB", "peak MB", "waited", "larger than the budget"], rows)


def live(env):
    """From saving a source of a node crate of the workspace to its new version being live in `para worker`, in seconds. The
    file is put back."""
    source = ROOT / "nodes/text/src/encode.rs"
    text, mark = source.read_text(), "/// What to draw\n"
    with tempfile.TemporaryDirectory() as folder:
        # The worker builds as cargo does, with nothing of ours in its environment.
        worker = subprocess.Popen(
            [PARA, "worker", "--store", f"{folder}/store"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        ask = lambda request: (worker.stdin.write(json.dumps(request) + "\n"), worker.stdin.flush())
        ask({"id": 1, "ask": "catalogue"})
        times = []
        try:
            until(worker, lambda reply: reply["reply"] == "catalogue")
            for turn in range(11):
                source.write_text(text if turn == 10 else text.replace(mark, f"/// What to draw, {turn}\n"))
                begun = time.perf_counter()
                news = until(worker, lambda reply: reply["reply"] in ("reloaded", "error"))
                if "text/encode" not in news.get("changed", []):
                    sys.exit(f"not live: {news}")
                times.append(time.perf_counter() - begun)
        finally:
            source.write_text(text)
            worker.stdin.close()
            worker.wait()
    # The first build finds what others have left.
    times = times[1:]
    table(["save to live s", "range"], [(f"{statistics.median(times):.2f}", f"{min(times):.2f}–{max(times):.2f}, {len(times)} times")])


def until(worker, wanted):
    for line in worker.stdout:
        reply = json.loads(line)
        if wanted(reply):
            return reply
    sys.exit("the worker ended")


PARTS = {part.__name__.replace("_", "-"): part for part in (batch, resolution, rank, rank_sd15, adapters, start, budget, live)}


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
