"""How often a test finds a difference between seeds of one and the same method: it should in one of twenty.

    python -m benchmarks.false_alarms runs/av_digits runs/mfeat6

For every method and regime of a finished study with at least four seeds, the plain sum of every two seeds is
compared with that of every two others: once with a bootstrap over test samples, which takes the trained models as
given, and once with seeds and samples crossed, as `ambidex compare` marks differences. Level 5 %, uncorrected.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from ambidex.base.errors import AmbidexError, DataError
from ambidex.base.layout import Layout
from ambidex.base.statistics import crossed, paired_bootstrap
from ambidex.report.study.cells import read_reports
from ambidex.report.study.measured import measured_rows
from ambidex.report.study.rows import PLAIN_SUM
from ambidex.report.study.table import aligned
from ambidex.resolve import load_params

LEVEL = 0.05
METRICS = ("accuracy", "nll")


def splits(seeds: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Two of the seeds against two others, each such pair once."""
    for ours in combinations(range(seeds), 2):
        for theirs in combinations(range(seeds), 2):
            if ours < theirs and not set(ours) & set(theirs):
                yield ours, theirs


def alarms(values: Tensor) -> list[tuple[bool, bool]]:
    """For each split of the seeds of `values` [S, N]: whether the bootstrap, and whether the crossed test, says so."""
    found = []
    for ours, theirs in splits(len(values)):
        a, b = values[list(ours)], values[list(theirs)]
        found.append((paired_bootstrap(a, b).p < LEVEL, crossed((a - b)[..., None])[0].p < LEVEL))
    return found


def rates(runs: Path) -> list[list[str]]:
    """The lines of one study: metric, comparisons, share of alarms over samples, share of alarms over both.

    Raises DataError where no method has four seeds.
    """
    params, layout = load_params(runs / "study" / "params.yaml"), Layout(runs)
    rows = measured_rows(read_reports(layout.root / "reports", params.study), params, None)
    lines = []
    for metric in METRICS:
        found = [
            alarm
            for row, samples in rows
            if row.allocator == PLAIN_SUM and row.kind == "fused" and len(samples.seeds) >= 4
            for alarm in alarms(torch.stack(list(samples.values[metric].values())))
        ]
        if not found:
            raise DataError(f"{runs}: no method has four seeds or more; two are compared with two others")
        shares = [f"{100 * fmean(column):.0f} %" for column in zip(*found, strict=True)]
        lines.append([runs.name, metric, str(len(found)), *shares])
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table of the studies named on the command line; what cannot be read is one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="folders of finished studies")
    torch.set_num_threads(1)
    head = ["study", "metric", "comparisons", "over samples", "seeds x samples"]
    try:
        lines = [line for runs in parser.parse_args(arguments).runs for line in rates(runs)]
    except AmbidexError as error:
        print(f"false_alarms: {error}", file=sys.stderr)
        return error.exit_code
    print(aligned([head, *lines]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
