"""Starts this project's measured processes, and others beside them, with one setting of threads for all."""

import json
import os
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PARA = ROOT / "target/release/para"
MEASURE = ROOT / "target/release/examples/measure"


def environment(threads):
    env = dict(os.environ)
    for name in ("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        env[name] = str(threads)
    env["HF_HUB_OFFLINE"] = "1"
    return env


def ours(threads):
    """With the places of the shared libraries, which an example does not know by itself."""
    libraries = subprocess.check_output(["rustc", "--print", "target-libdir"], cwd=ROOT, text=True).strip()
    return dict(environment(threads), LD_LIBRARY_PATH=f"{libraries}:{ROOT / 'target/release'}")


def report(command, env):
    """The JSON that a process prints at its end."""
    ran = subprocess.run(command, env=env, capture_output=True, text=True)
    if ran.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{ran.stderr}")
    return json.loads(ran.stdout.splitlines()[-1])


def whole(command, env, output=subprocess.DEVNULL):
    """A whole process: seconds from its start to its end, and its peak of memory."""
    start = time.perf_counter()
    child = subprocess.Popen(command, env=env, stdout=output, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{' '.join(map(str, command))}: wait status {status}")
    return {"seconds": [time.perf_counter() - start], "peak_bytes": usage.ru_maxrss * 1024}
