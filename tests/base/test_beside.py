"""A card and presets stand in the class, or beside its file; the nearest class with one counts."""

import sys
from pathlib import Path

import pytest

from ambidex.base.cards.beside import own
from ambidex.base.cards.card import Card, Cost
from ambidex.learn.method import METHODS, Method
from helpers.outside import installed

CARD = Card(intervenes=("objective",), cost=Cost(words="here"))
WRITTEN = (
    "from ambidex.base.cards.card import Card, Cost\ncard = Card(intervenes=(), cost=Cost(words='{words}'))\n"
)
BASE = "from ambidex.learn.method import Method\nclass Plain(Method):\n    pass\n"
CHILD = "from pride.plain import Plain\nclass Child(Plain):\n    pass\n"


class InClass(Method):
    card = CARD


@pytest.fixture
def pride(tmp_path: Path):
    """A package with `plain.py`, whose card stands beside it, and `child.py`, which has none of its own."""
    for name, text in {
        "__init__": "",
        "plain": BASE,
        "child": CHILD,
        "cards/__init__": "",
        "cards/plain": WRITTEN.format(words="beside"),
    }.items():
        file = tmp_path / f"pride/{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    with installed(tmp_path):
        yield tmp_path / "pride"


def test_a_card_in_the_class_is_its_card():
    assert InClass.card is CARD
    assert InClass.presets == {}
    assert own(InClass, "card", "cards") is CARD


def test_a_card_beside_the_file_is_that_of_the_class_and_of_those_that_have_none(pride: Path):
    from pride.child import Child
    from pride.plain import Plain

    assert "pride.cards.plain" not in sys.modules
    assert Plain.card.cost.words == Child.card.cost.words == "beside"
    assert Plain.card.cost.words == own(Plain, "card", "cards").cost.words
    assert own(Child, "card", "cards") is None
    assert Child(None).card is Plain.card


def test_the_nearest_class_counts(pride: Path):
    from pride.plain import Plain

    class Nearer(Plain):
        card = CARD

    class Nearest(Nearer):
        pass

    assert Nearest.card is CARD
    (pride / "cards/child.py").write_text(WRITTEN.format(words="the child"))
    from pride.child import Child

    assert Child.card.cost.words == "the child"


def test_without_one_there_is_none():
    with pytest.raises(AttributeError, match="Nothing has no card, neither in its class nor in cards/"):
        _ = type("Nothing", (Method,), {}).card
    assert type("Nothing", (Method,), {}).presets == {}
    assert own(Method, "card", "cards") is None


def test_a_mistake_beside_is_no_missing_card(pride: Path):
    (pride / "cards/plain.py").write_text("import no_such_module_anywhere\n")
    from pride.plain import Plain

    with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"):
        _ = Plain.card


def test_the_folders_beside_hold_no_methods():
    assert not {"cards", "presets"} & set(METHODS.names())
    assert METHODS.get("ogm_ge").presets["cremad"].options["alpha"] == 0.8


def test_every_file_beside_is_of_a_method():
    folder = Path(sys.modules[Method.__module__].__file__).parent / "methods"
    for kind in ("cards", "presets"):
        files = {file.stem for file in (folder / kind).glob("[a-z]*.py")}
        assert files <= set(METHODS.own()), kind
    assert {file.stem for file in (folder / "cards").glob("[a-z]*.py")} == set(METHODS.own())
