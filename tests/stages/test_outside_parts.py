"""What a method has built into the model from other distributions: its code counts as the method's does."""

import json

import pytest

from ambidex import stages
from ambidex.base.errors import ParamsError
from ambidex.commands.freshness import up_to_date
from ambidex.resolve.cell import resolve
from ambidex.stages._chosen import chosen
from ambidex.stages._outside import outside_plugins
from ambidex.stages.table import TABLE
from helpers.outside import installed, write_distribution
from helpers.runs import extracted, small_params

PRIDE = """
from dataclasses import replace
from ambidex.configuration.values import Choice
from ambidex.learn.method import Method

class Pride(Method):
    '''Joint training of a model with a lion in it.'''

    def architecture(self, architecture):
        return replace(architecture, fusion=Choice(name="den")).adding("lion")

class Plain(Method):
    '''Joint training.'''
"""
LION = "from ambidex.net.additions import Addition\nclass Lion(Addition):\n    '''Changes nothing.'''\n"
DEN = "from ambidex.net.fusion.sum import SumFusion\nclass Den(SumFusion):\n    '''A sum.'''\n"
ALL = {"method pride", "addition lion", "fusion den"}


@pytest.fixture
def target(tmp_path):
    """Three distributions: the methods, an addition and a fusion."""
    target = tmp_path / "installed"
    methods = {"pride": "pride:Pride", "plain": "pride:Plain"}
    write_distribution(target, "ambidex-pride", {"ambidex.methods": methods}, pride=PRIDE)
    write_distribution(target, "ambidex-lion", {"ambidex.additions": {"lion": "lion:Lion"}}, lion=LION)
    write_distribution(target, "ambidex-den", {"ambidex.fusions": {"den": "den:Den"}}, den=DEN)
    with installed(target):
        yield target


def cell(method="pride", **model):
    return resolve(small_params(train={"method": method, "epochs": 1}, model=model))


@pytest.mark.parametrize("file", ["lion", "den", "pride"])
def test_a_change_of_any_of_them_trains_again(target, tmp_path, file):
    inputs, model = {"features": extracted(tmp_path / "made").features}, tmp_path / "model"
    stages.run("train", cell(), inputs, {"model": model})
    assert set(json.loads((model / "card.json").read_text())["plugins"]) == ALL
    source = target / f"{file}.py"
    before = source.read_text()
    source.write_text(before + "\nNEW = 1\n")
    assert not up_to_date("train", cell(), inputs, model)
    source.write_text(before)
    assert up_to_date("train", cell(), inputs, model)


def test_what_the_method_does_not_ask_for_does_not_count(target):
    assert set(outside_plugins("train", cell("plain"))) == {"method plain"}
    assert set(outside_plugins("train", cell("plain", fusion={"name": "den"}))) == {
        "method plain",
        "fusion den",
    }
    assert set(outside_plugins("crossfit", cell())) == ALL
    assert outside_plugins("pretrain", small_params()) == {}


def test_they_are_those_that_the_stage_chooses(target):
    names = chosen(cell(), TABLE["train"].chosen)
    assert names["ambidex.net.additions"] == {"lion"}
    assert names["ambidex.net.fusion"] == {"den"}


def test_one_that_is_broken_is_named_before_anything_is_written(target, tmp_path):
    (target / "lion.py").write_text("import nowhere_at_all\n")
    inputs = {"features": extracted(tmp_path / "made").features}
    with pytest.raises(ParamsError, match=r"^addition 'lion' of ambidex-lion 1\.0 .*nowhere_at_all"):
        stages.run("train", cell(), inputs, {"model": tmp_path / "model"})
    assert not (tmp_path / "model").exists()
