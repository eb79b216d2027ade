"""What every method's page is made of: a card in its own file, whose facts can be checked against the project."""

from pathlib import Path

import pytest

from ambidex.method import METHODS

ROOT = Path(__file__).resolve().parents[2]
CARDS = [name for name, cls in METHODS.all().items() if "card" in vars(cls)]


@pytest.mark.parametrize("name", CARDS)
def test_passes_are_counted_for_any_number_of_modalities(name):
    cost = METHODS.get(name).card.cost
    assert cost.words
    for modalities in (2, 3):
        assert all(passes >= 0 for passes in cost.passes(modalities))


@pytest.mark.parametrize("name", CARDS)
def test_the_files_that_guard_it_are_there(name):
    guards = METHODS.get(name).card.guards
    for file in (f"tests/unit/test_method_{name}.py",) if guards is None else guards:
        assert (ROOT / file).exists(), file


@pytest.mark.parametrize("name", CARDS)
def test_published_numbers_are_percentages_and_say_what_they_were_measured_on(name):
    for number in METHODS.get(name).card.published:
        assert 1 < number.value <= 100
        assert number.joint is None or 1 < number.joint <= 100
        assert all((number.data, number.backbone, number.protocol, number.source))
