"""The import of the estimators, behind scikit-learn's."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import gc
import sklearn.model_selection, sklearn.preprocessing
gc.collect()
seen = []
gc.callbacks.append(lambda phase, info: seen.append(info["generation"]))
import nnscratch.interop.sklearn
assert gc.isenabled()
print(len(seen), seen.count(2))
"""


def test_the_collector_seldom_looks_through_everything_while_modules_are_loaded() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    times, among_all = map(int, done.stdout.split())
    assert among_all == 0
    assert times < 40  # a call at the start and one at the end of each; without care 150
