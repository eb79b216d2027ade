"""The rooms of the library and what each imports, read from the sources: `PYTHONPATH=tests python -m helpers.house`.

It writes the picture in docs/architecture.md again. A test holds the picture, and the order of the rooms, against them.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"
PAGE = ROOT / "docs/architecture.md"
BEGIN, END = "```mermaid\n", "```\n"

ROOMS = {
    "base": "errors, files, statistics",
    "media": "decoding",
    "kinds": "what samples are",
    "configuration": "parameters",
    "data": "store, data sets",
    "net": "encoders, heads, model",
    "learn": "engine, loop, methods",
    "judge": "evaluation, diagnostics",
    "decide": "allocators, repair",
    "resolve": "what a run is",
    "predict": "new samples",
    "report": "pages, study",
    "stages": "from input to output",
    "launch": "several processes",
    "commands": "the command line",
    "testing": "checks for authors",
}
"""every room with a few words, lowest first: a file imports from its own room and from those below it"""
_INNER = {
    "ambidex.data.media": "media",
    "ambidex.data.kinds": "kinds",
    "ambidex.data.draws": "kinds",
    "ambidex.data.manifest": "kinds",
    "ambidex.data.moments": "kinds",
    "ambidex.data.ragged": "kinds",
    "ambidex.cli": "commands",
}


@cache
def modules() -> dict[str, Path]:
    """Every module of the library with its file."""
    files = sorted((SOURCE / "ambidex").rglob("*.py"))
    dotted = {".".join(file.relative_to(SOURCE).with_suffix("").parts): file for file in files}
    return {name.removesuffix(".__init__"): file for name, file in dotted.items()}


def room_of(module: str) -> str:
    """The room that a module is in; empty for those that hold rooms together (`ambidex`, `ambidex.data`)."""
    if module in ("ambidex", "ambidex.data"):
        return ""
    for start, room in _INNER.items():
        if module == start or module.startswith(f"{start}."):
            return room
    return module.split(".")[1]


@cache
def imports() -> dict[str, frozenset[str]]:
    """Module -> the modules of the library that it imports, at its top, in functions or for type checkers alone."""
    return {name: frozenset(_imports(name, file)) for name, file in modules().items()}


def _imports(name: str, file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            named = [one if one in modules() else node.module for one in whole]
        else:
            continue
        yield from (one for one in named if one in modules() and one != name)


def doors() -> dict[str, set[str]]:
    """Room -> the other rooms that its files import from."""
    found: dict[str, set[str]] = {room: set() for room in ROOMS}
    for name, imported in imports().items():
        if here := room_of(name):
            found[here] |= {room_of(one) for one in imported} - {here, ""}
    return found


def picture() -> str:
    """A Mermaid diagram: an arrow from each room to those it stands on, without what other arrows say already."""
    open_doors = doors()
    lines = ["flowchart TD"]
    lines += [f'    {room}["<b>{room}</b><br/>{words}"]' for room, words in ROOMS.items()]
    for room, below in open_doors.items():
        through = set().union(*(_reached(other, open_doors) for other in below))
        lines += [f"    {room} --> {other}" for other in ROOMS if other in below - through]
    return "\n".join(lines) + "\n"


def _reached(room: str, open_doors: dict[str, set[str]]) -> set[str]:
    found = set(open_doors[room])
    for other in open_doors[room]:
        found |= _reached(other, open_doors)
    return found


def redrawn(page: str) -> str:
    """The page with the picture as the sources have it now."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}{picture()}{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(redrawn(PAGE.read_text()))
