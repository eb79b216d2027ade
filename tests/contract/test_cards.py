"""What every method's page is made of: a card in its own file, whose facts can be checked against the project."""

from pathlib import Path

import pytest

from ambidex.commands.method_page import guards
from ambidex.learn.method import METHODS
from ambidex.testing import cards

ROOT = Path(__file__).resolve().parents[2]
PRESETS = [(name, key) for name in METHODS.own() for key in METHODS.get(name).presets]


@pytest.fixture(params=METHODS.own())
def name(request):
    return request.param


def test_it_has_a_card_of_its_own_and_says_its_idea(name):
    cards.card(name)


def test_passes_are_counted_for_any_number_of_modalities(name):
    cards.cost(name)


def test_the_files_that_guard_it_are_there(name):
    guards = METHODS.get(name).card.guards
    for file in (f"tests/learn/test_method_{name}.py",) if guards is None else guards:
        assert (ROOT / file).exists(), file


def test_it_has_deliberate_faults_where_its_page_says_so(name):
    said = f"make mutations METHOD={name}" in guards(name, METHODS.get(name))
    assert said == (ROOT / f"tests/mutations/faults/{name}.py").exists()


def test_what_is_published_says_what_it_was_measured_on(name):
    cards.published(name)


@pytest.mark.parametrize(("name", "key"), PRESETS)
def test_a_preset_holds_parameters_that_there_are(name, key):
    cards.preset(name, key)
