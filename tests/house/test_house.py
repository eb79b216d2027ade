"""The house: rooms in order, no circles, small files, and a picture that is true."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from helpers.house import PAGE, ROOMS, ROOT, imports, modules, redrawn, room_of

MOST_AT_THE_TOP = 10
LONGEST_FILE, LONGEST_FUNCTION = 350, 50
NO_NOUNS = {"told", "found", "said", "known"}
ACROSS = {"chaos", "contract", "house", "images", "mutations", "pipelines"}
"""folders of tests that belong to no room: they hold the whole product, or what stands beside the library"""
FILES = [
    file
    for folder in ("src/ambidex", "components", "pipelines", "benchmarks")
    for file in sorted((ROOT / folder).rglob("*.py"))
]


def test_every_module_is_in_a_room():
    assert {room_of(name) for name in modules()} == {*ROOMS, ""}


def test_a_file_imports_only_what_stands_below_it():
    height = {room: place for place, room in enumerate(ROOMS)}
    upwards = [
        f"{name} imports {other}"
        for name, imported in imports().items()
        for other in imported
        if room_of(name) and room_of(other) and height[room_of(other)] > height[room_of(name)]
    ]
    assert not upwards


def test_no_import_circles():
    try:
        order = [
            *TopologicalSorter({name: set(imported) for name, imported in imports().items()}).static_order()
        ]
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))
    assert len(order) == len(modules())


def test_the_top_is_nearly_empty():
    assert len([*(ROOT / "src/ambidex").glob("*.py")]) <= MOST_AT_THE_TOP


def test_tests_stand_in_rooms_of_the_same_names():
    folders = {file.relative_to(ROOT / "tests").parts[0] for file in (ROOT / "tests").glob("*/**/test_*.py")}
    assert folders - ACROSS <= {*ROOMS}


def test_files_and_functions_are_short() -> None:
    for file in FILES:
        _check_length(file)


def _check_length(file: Path):
    text = file.read_text()
    assert text.count("\n") <= LONGEST_FILE
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, functions):
            lines = (node.end_lineno or 0) - node.lineno + 1
            assert lines <= LONGEST_FUNCTION, f"{file}: {node.name} has {lines} lines"


def test_a_name_of_a_local_is_a_noun():
    files = sorted((ROOT / "src/ambidex").rglob("*.py"))
    assert not [
        f"{file.relative_to(ROOT)}:{place}" for file in files for place in _no_nouns(file.read_text())
    ]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("def f():\n    told = 1", "told"),
        ("def f():\n    [0 for found in ()]", "found"),
        ("for said, _ in ():\n    pass", "said"),
        ("f = lambda a, *, known: 0", "known"),
        ("class A:\n    found: int\n    def f(self, *found): pass", "found"),
        ("if (told := 1):\n    pass", "told"),
        ("try:\n    pass\nexcept OSError as told:\n    pass", "told"),
    ],
)
def test_a_local_that_is_no_noun_is_seen(text, name):
    (place,) = _no_nouns(text)
    assert place.endswith(f": {name}")


def test_fields_attributes_and_keywords_are_no_locals():
    assert not [*_no_nouns("class A:\n    found: int = 0\na.said = f(told=known)")]


def _no_nouns(text: str):
    """`line: name` of each local, loop variable and parameter of NO_NOUNS; fields of classes are none."""
    tree = ast.parse(text)
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    fields = {id(part.target) for node in classes for part in node.body if isinstance(part, ast.AnnAssign)}
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) if id(node) not in fields:
                pass
            case ast.arg(arg=name) | ast.ExceptHandler(name=name) | ast.MatchAs(name=name):
                pass
            case _:
                continue
        if name in NO_NOUNS:
            yield f"{node.lineno}: {name}"


def test_the_picture_is_true():
    page = PAGE.read_text()
    assert page == redrawn(page), "PYTHONPATH=tests python -m helpers.house draws it again"
