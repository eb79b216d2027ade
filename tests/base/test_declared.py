"""What a module declares, read from its file: values are those that Python has once it is imported."""

import importlib
import sys

import pytest

from ambidex.base.source.declared import Call, Declared, UndeclaredError

FILES = {
    "limits": "MOST = 6\nAS_MANY = MOST\n",
    "parts": '''
"""Parts.

More of them."""
from zoo_declared.limits import AS_MANY as MANY, MOST

class _Helper:
    size = 3

class Part:
    needs = Needs(
        most=MOST, least=2, words="two "
        "words",
    )
    also: int = MANY
    nothing: int
    made = make(3)
    summed = MOST + 1
    missing = NOWHERE
    size = 4

PARTS: Plugins[Part] = Plugins("part", "zoo_declared", "zoo_declared.parts.Part")
''',
}


@pytest.fixture
def parts(tmp_path, monkeypatch):
    folder = tmp_path / "zoo_declared"
    folder.mkdir()
    for name, text in {"__init__": "", "broken": "def", **FILES}.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield Declared("zoo_declared.parts")
    assert not [name for name in sys.modules if name.startswith("zoo_declared.")]


def test_values_are_read_where_they_stand_and_where_they_are_imported_from(parts):
    assert parts.text() == "Parts.\n\nMore of them."
    assert parts.attribute("also") == 6
    assert parts.attribute("needs") == Call("Needs", {"most": 6, "least": 2, "words": "two words"})
    assert parts.attribute("nothing") is None
    assert parts.attribute("size", "Part") == 4
    assert parts.registry("PARTS") == ("part", "zoo_declared", "zoo_declared.parts.Part")


@pytest.mark.parametrize("name", ["made", "summed", "missing", "size"])
def test_what_has_to_be_computed_is_not_guessed(parts, name):
    with pytest.raises(UndeclaredError):
        parts.attribute(name)


def test_what_is_not_there_is_said(parts):
    for ask in (
        lambda: parts.registry("Part"),
        lambda: parts.defaults("Nobody"),
        lambda: Declared("zoo_declared.limits").text(),
        lambda: Declared("zoo_declared.broken"),
        lambda: Declared("zoo_declared.nowhere"),
    ):
        with pytest.raises(UndeclaredError):
            ask()
