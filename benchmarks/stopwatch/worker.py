"""The process of one competitor: it does what it is told, line by line, and says how long it took.

Every competitor has a process of its own. Thread pools of several libraries in one process fight
for the cores, also while their libraries are idle, and then the order of the rounds decides.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
from typing import Any, TextIO

WARM_SHARE = 10


def make(target: str, arguments: dict[str, Any]) -> Any:
    """Make what ``module:Class`` names; a dictionary "workload" becomes a ``Workload``."""
    from benchmarks.competitors.workload import Workload

    module, _, name = target.partition(":")
    arguments = dict(arguments)
    if "workload" in arguments:
        arguments["workload"] = Workload.from_dict(arguments["workload"])
    return getattr(importlib.import_module(module), name)(**arguments)


def answer(state: dict[str, Any], request: dict[str, Any]) -> Any:
    """Do one request and return what is sent back."""
    if request["do"] == "make":
        began = time.perf_counter()
        state["competitor"] = make(request["target"], request["arguments"])
        gc.collect()
        gc.freeze()
        return time.perf_counter() - began
    competitor = state["competitor"]
    count = int(request["count"])
    if request["do"] == "evidence":
        return competitor.evidence(count)
    # A few untimed steps first: the caches hold what the competitor before this one left.
    competitor.run(max(1, count // WARM_SHARE) if request["warm"] else 0)
    began = time.perf_counter()
    competitor.run(count)
    return time.perf_counter() - began


def main() -> None:
    """Serve requests from standard input until it ends."""
    # What libraries print goes to standard error: standard output belongs to the answers.
    out: TextIO = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # In the place of this file's folder, which Python puts first.
    sys.path[:1] = json.loads(os.environ.get("NNSCRATCH_BENCH_PATH", "[]"))
    state: dict[str, Any] = {}
    for line in sys.stdin:
        try:
            reply = {"value": answer(state, json.loads(line))}
        except Exception as error:
            first = str(error).strip().splitlines()[:1]
            reply = {"error": f"{type(error).__name__}: {' '.join(first)}"[:300]}
        print(json.dumps(reply), file=out, flush=True)


if __name__ == "__main__":
    main()
