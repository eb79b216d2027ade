"""What every method's page is made of: a card in its own file, whose facts can be checked against the project."""

from pathlib import Path

import pytest

from ambidex.cards.card import Card
from ambidex.commands.method_page import guards
from ambidex.configuration.options import plugin_config
from ambidex.method import METHODS
from ambidex.params import Optimisation

ROOT = Path(__file__).resolve().parents[2]
PRESETS = [(name, key) for name, cls in METHODS.all().items() for key in cls.presets]


@pytest.fixture(params=METHODS.names())
def name(request):
    return request.param


def test_it_has_a_card_of_its_own_and_says_its_idea(name):
    cls = METHODS.get(name)
    assert isinstance(vars(cls).get("card"), Card), f"methods/{name}.py: declare card = Card(...)"
    assert vars(cls)["__doc__"]
    assert len(set(cls.card.intervenes)) == len(cls.card.intervenes)


def test_passes_are_counted_for_any_number_of_modalities(name):
    cost = METHODS.get(name).card.cost
    assert cost.words
    for modalities in (2, 3):
        assert all(passes >= 0 for passes in cost.passes(modalities))


def test_the_files_that_guard_it_are_there(name):
    guards = METHODS.get(name).card.guards
    for file in (f"tests/unit/test_method_{name}.py",) if guards is None else guards:
        assert (ROOT / file).exists(), file


def test_it_has_deliberate_faults_where_its_page_says_so(name):
    said = f"make mutations METHOD={name}" in guards(name, METHODS.get(name))
    assert said == (ROOT / f"tests/mutations/faults/{name}.py").exists()


def test_what_is_published_says_what_it_was_measured_on(name):
    for number in METHODS.get(name).card.published:
        assert 1 < number.value <= 100
        assert number.joint is None or 1 < number.joint <= 100
        assert all((number.data, number.backbone, number.protocol, number.source, number.evidence))


def test_lines_of_the_card_are_lines(name):
    card = METHODS.get(name).card
    for line in card.deviations:
        assert "\n" not in line
        assert line.endswith(".")


@pytest.mark.parametrize(("name", "key"), PRESETS)
def test_a_preset_holds_parameters_that_there_are(name, key):
    preset = METHODS.get(name).presets[key]
    plugin_config(METHODS, name, preset.options, f"methods.{name}")
    assert preset.train.keys() <= Optimisation.model_fields.keys()
    Optimisation.model_validate(preset.train)
    assert preset.source
