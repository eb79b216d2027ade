"""Compare recipes of the training loop on data sets, each set left out in turn.

    python -m benchmarks.recipe ../shared/data --work /tmp/recipe --seeds 0 1 --recipes "eight epochs" shipped

Cells stand in WORK/cells.jsonl and are not run again; without --run only those that are there are printed.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.recipe.cells import RECIPES, run_cell
from benchmarks.recipe.sets import SETS
from benchmarks.recipe.table import table

CELLS = "cells.jsonl"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing, and print the table."""
    options = _options(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    file: Path = options.work / CELLS
    cells = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    there = {_key(cell) for cell in cells}
    for seed in options.seeds:
        for name in options.sets:
            for recipe in options.recipes:
                if (name, recipe, seed) in there:
                    continue
                cell = run_cell(name, recipe, seed, options.data.resolve(), options.work.resolve())
                cells.append(cell)
                with file.open("a") as stream:
                    stream.write(json.dumps(cell) + "\n")
    wanted = {(n, r, s) for n in options.sets for r in options.recipes for s in options.seeds}
    print(table([cell for cell in cells if _key(cell) in wanted]))
    return 0


def _key(cell: dict[str, Any]) -> tuple[str, str, int]:
    return cell["set"], cell["recipe"], cell["seed"]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.recipe", description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the data sets")
    parser.add_argument(
        "--work", type=Path, default=Path("/tmp/ambidex-recipe"), help="stores and finished cells"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), choices=list(RECIPES))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
