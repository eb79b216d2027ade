"""`python -m pipelines.dvc_yaml`: write the stages in dvc.yaml again, from their declarations and from the imports.

Of every stage that stands in the file and in `ambidex/stages/table.py` the block is written anew. All else is its
readers' own and stays: other stages, comments between blocks, metrics, plots, artifacts.
"""

import argparse
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ambidex.base.errors import AmbidexError, DataError
from ambidex.base.files import write_text
from ambidex.base.layout import Layout
from ambidex.base.source.graph import closure
from ambidex.base.source.text import parse_source, read_source
from ambidex.commands.doors import fail
from ambidex.learn.method import METHODS
from ambidex.stages.code import CARRIES, beside, modules
from ambidex.stages.table import TABLE, Artefact, Read

ROOT = Path(__file__).resolve().parents[1]
DVC_YAML = ROOT / "dvc.yaml"
_LIBRARY = Path("src/ambidex")
_MATRICES = {
    "cells": {"method": "${study.methods}", "regime": "${study.regimes}", "seed": "${study.seeds}"},
    "classifiers": {"modality": "${extract.modalities}", "seed": "${study.seeds}"},
}
_ITEM = SimpleNamespace(
    extract=SimpleNamespace(part=None),
    pretrain=SimpleNamespace(modality="${item.modality}", seed="${item.seed}"),
    train=SimpleNamespace(method="${item.method}", regime="${item.regime}", seed="${item.seed}"),
)
"""stands for the parameters of one call: places become templates of DVC"""
_LISTED = ("stages", "methods", "datasets")
"""folders whose files are named one by one: each belongs to one stage or one cell"""
_LONG = 12
_PERSISTS = "persist: true # what the user saved in it stays: dvc would delete it before the run"
_BLOCK = re.compile(r"  [^\s#][^:]*:")


def renewed(text: str) -> str:
    """The text of a dvc.yaml with the blocks of its declared stages written anew. Raises DataError: no `stages:`."""
    lines = text.splitlines()
    if "stages:" not in lines:
        raise DataError("dvc.yaml: no line `stages:`, below which the stages stand")
    start = lines.index("stages:") + 1
    end = next((n for n in range(start, len(lines)) if re.match(r"\w", lines[n])), len(lines))
    heads = [n for n in range(start, end) if _BLOCK.match(lines[n])]
    names = [lines[n].strip().partition(":")[0] for n in heads]
    written = lines[: heads[0]] if heads else lines[:end]
    anchored = False
    for name, first, after in zip(names, heads, [*heads[1:], end], strict=True):
        last = next(n for n in range(after, first, -1) if re.match(r"    |  [^\s#]", lines[n - 1]))
        if name not in TABLE:
            written += lines[first:after]
            continue
        written += [f"  {name}:", *_block(name, names, anchored), *lines[last:after]]
        anchored |= TABLE[name].matrix == "cells"
    return "\n".join([*written, *lines[end:]]) + "\n"


def _block(name: str, others: Collection[str], anchored: bool) -> Iterator[str]:
    """The lines below the name of a stage. `others`: the stages of the file; `anchored`: whether `*cells` is there."""
    stage = TABLE[name]
    yield f"    desc: {stage.about}"
    matrix = _MATRICES.get(stage.matrix, {})
    if stage.matrix == "cells" and anchored:
        yield "    matrix: *cells"
    elif matrix:
        yield "    matrix: &cells" if stage.matrix == "cells" else "    matrix:"
        yield from (f"      {key}: {values}" for key, values in matrix.items())
    flags = "".join(f" --{flag} '${{item.{flag}}}'" for flag, _ in stage.flags if flag in matrix)
    yield f"    cmd: ambidex {name}{flags}{''.join(f' {word}' for word in stage.in_dvc)}"
    yield "    deps:"
    if stage.source:
        yield f"      - ${{{stage.source}}}"
    for read in stage.reads:
        yield from _watched(read, others)
    yield from (f"      - {path}" for path in _code(name))
    own_line = ['"methods.${item.method}"'] if stage.of_method else []
    yield f"    params: [{', '.join([*stage.sections, *own_line])}]"
    place = _place(stage.writes)
    if stage.persists:
        yield from ("    outs:", f"      - {place}:", f"          {_PERSISTS}")
    else:
        yield f'    outs: ["{place}"]' if "$" in place else f"    outs: [{place}]"


def _watched(read: Read, others: Collection[str]) -> Iterator[str]:
    """What DVC watches of an input; nothing where no stage of the file makes it."""
    made = {read.artefact.name, read.artefact.holds}
    if not any(other in TABLE and TABLE[other].writes.name in made for other in others):
        return
    place = _place(read.artefact)
    for number, file in enumerate(read.artefact.tells or [""]):
        why = f" # {read.artefact.why}" if file and not number else ""
        yield f"      - {place}{'/' if file else ''}{file}{why}"


def _place(artefact: Artefact) -> str:
    item: Any = _ITEM
    return str(artefact.place(item, Layout(Path("runs"))))


def _code(name: str) -> list[str]:
    """The code that a stage runs, as paths from the root: a folder where all of its files count.

    Of the method that a cell trains its own file and what it imports; other plug-ins, and all presets, count whatever
    is chosen, since DVC knows nothing of our parameters.
    """
    stage = TABLE[name]
    if METHODS.package not in stage.chosen:
        return _folded(set(modules(name).values()))
    paths = set(modules(name, {METHODS.package: ()}).values())
    for plugin in METHODS.modules().values():
        needed = closure([plugin], CARRIES)
        paths |= {path for module, path in needed.items() if module != plugin}
    folder = f"{_LIBRARY}/{METHODS.package.partition('.')[2].replace('.', '/')}"
    own = [f"{folder}/${{item.method}}.py", f"{folder}/presets"]
    return sorted([*_folded(paths), *own])


def _folded(needed: Collection[Path]) -> list[str]:
    """Paths below the root in order, without files that say nothing, and short enough to be read.

    A folder stands in place of its files where all are needed, or where the list would be long and at least half are:
    DVC then re-runs the stage for the others too, which costs time and makes nothing stale.
    """
    nothing = parse_source("").digest

    def fold(folder: Path) -> Iterator[Path]:
        files = [path for path in folder.rglob("*.py") if read_source(path).digest != nothing]
        here = [path for path in files if path in needed]
        listed = any(part in _LISTED for path in files for part in path.relative_to(folder.parent).parts[:-1])
        most = len(here) > _LONG and len(here) >= len(files) / 2 and not listed
        if len(here) > 1 and (here == files or most):
            yield folder
            return
        yield from (path for path in here if path.parent == folder)
        if folder / "__init__.py" in needed:
            yield from beside({"": folder / "__init__.py"})
        for inner in folder.iterdir():
            if inner.is_dir():
                yield from fold(inner)

    below = (path for path in (ROOT / _LIBRARY).iterdir() if path.is_dir())
    single = {path for path in needed if path.parent == ROOT / _LIBRARY}
    return sorted(
        str(path.relative_to(ROOT)) for path in [*single, *(one for top in below for one in fold(top))]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file and print its path."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.dvc_yaml", description=__doc__)
    parser.add_argument("--file", type=Path, default=DVC_YAML, metavar="FILE", help="default: dvc.yaml")
    file = parser.parse_args(arguments).file
    try:
        write_text(file, renewed(file.read_text()))
    except (AmbidexError, OSError) as error:
        return fail("ambidex", error, getattr(error, "exit_code", DataError.exit_code))
    print(file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
