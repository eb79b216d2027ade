"""Runs the benchmarks, prints one table and the machine's load, writes JSON to benchmarks/results/."""

import argparse
import importlib
import os
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import described, machine
from benchmarks.rows import Row, table
from benchmarks.scale import Scale

BENCHMARKS = {
    "checkpoint": "benchmarks.checkpoint",
    "engine": "benchmarks.engine_step",
    "exchange": "benchmarks.exchange",
    "methods": "benchmarks.method_step",
    "evaluation": "benchmarks.evaluation",
    "extraction": "benchmarks.extraction",
    "gathering": "benchmarks.gathering",
    "loading": "benchmarks.loading",
    "scale": "benchmarks.scaling",
    "shapley": "benchmarks.shapley_cost",
    "startup": "benchmarks.startup",
    "vectors": "benchmarks.vectors",
}
"""name -> module with `measure(scale) -> list[Row]`"""
APART = ("scale",)
"""measured only where it is asked for"""
RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; 1 where a limit was missed by more than the tolerance."""
    options = _parser().parse_args(arguments)
    scale: Scale = "quick" if options.quick else "field" if options.field_inputs else "full"
    prepare()
    before = machine()
    results: dict[str, list[Row]] = {}
    for name in options.only or [name for name in BENCHMARKS if name not in APART]:
        prepare()
        start = time.monotonic()
        results[name] = importlib.import_module(BENCHMARKS[name]).measure(scale)
        print(f"{name}: measured in {time.monotonic() - start:.0f} s", file=sys.stderr)
    after = machine()
    rows = [row for found in results.values() for row in found]
    print(table(rows))
    print(f"\nCPU time, one thread, medians, 15 % tolerance, scale {scale}")
    print(described(before, after))
    print(f"written to {_write(results, scale, before, after)}")
    return int(any(row.verdict == "MISSED" for row in rows))


def prepare() -> None:
    """One thread in torch and in whatever else counts cores; PyTorch's own settings otherwise."""
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(False)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = "1"  # for the processes that the benchmarks start


def _write(results: dict[str, list[Row]], scale: str, before: dict[str, Any], after: dict[str, Any]) -> Path:
    from ambidex.base.files import write_json

    now = datetime.now().astimezone()
    content = {
        "time": now.isoformat(timespec="seconds"),
        "scale": scale,
        "machine": before,
        "load_after": after["load"],
        "rows": {name: [row.to_json() for row in rows] for name, rows in results.items()},
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{now:%Y%m%d-%H%M%S}.json"
    write_json(path, content)
    return path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only", metavar="NAME", action="append", choices=list(BENCHMARKS), help=", ".join(BENCHMARKS)
    )
    parser.add_argument("--quick", action="store_true", help="fewer repetitions: a look, not a verdict")
    parser.add_argument(
        "--field-inputs", action="store_true", help="engine step at the papers' input sizes (minutes more)"
    )
    return parser
