"""`ambidex params`: the reference of params.yaml as Markdown; docs/parameters.md is its output."""

from argparse import Namespace

from ambidex.commands.entries import Block, Entry, blocks
from ambidex.configuration.params import Params

_HEAD = """\
# Parameters

Every key of `params.yaml`. Unknown keys are errors. Any key can be replaced for one run with
`--set section.key=value`. Written by `make docs` from the schema: `params.py`, `optimisation.py` and `platform.py` in
`src/ambidex/configuration`, and `src/ambidex/data/kinds`; do not edit.

The options of plug-ins stand with the plug-ins: `ambidex datasets NAME` (`prepare.options`), `ambidex encoders NAME`
(`model.encoders.NAME`), `ambidex fusions NAME` (`model.fusion`), `ambidex methods NAME` (`methods.NAME`).
"""
_COLUMNS = ("key", "type", "default", "allowed", "meaning")


def run(options: Namespace) -> int:
    """Print the reference."""
    print(markdown(), end="")
    return 0


def markdown() -> str:
    """The whole page."""
    return _HEAD + "".join(_section(block) for block in blocks(Params))


def _section(block: Block) -> str:
    lines = [f"\n## {block.path}\n" if block.path else "\n## At the top\n", block.about, "", _row(_COLUMNS)]
    lines += ["|" + " --- |" * len(_COLUMNS), *(_entry(entry) for entry in block.entries)]
    return "\n".join(lines) + "\n"


def _entry(entry: Entry) -> str:
    return _row((f"`{entry.key}`", entry.type, f"`{entry.default}`", entry.allowed, entry.meaning))


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
