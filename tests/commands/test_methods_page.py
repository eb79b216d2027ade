"""docs/methods.md keeps up with the registry, and says of a method what its class says."""

import re
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from ambidex.base.cards.card import Card, Cost, Paper, Preset, Published
from ambidex.cli import main
from ambidex.commands.method_page import page, section
from ambidex.learn.method import METHODS, Method, MethodConfig, Needs

PAGE = Path(__file__).resolve().parents[2] / "docs/methods.md"


class Example(Method):
    """Weigh the loss
    by what is weak."""

    class Config(MethodConfig):
        """Defaults: nobody's."""

        share: float = 0.25

    card = Card(
        intervenes=("objective", "data"),
        cost=Cost(lambda m: 2**m, 1.5, "a second look"),
        paper=Paper("Ada, Bob", "On looking twice", "ICML", 2025, "arXiv 1234.56789"),
        modalities="two in the paper",
        needs="patience",
        deviations=("The code does not look.",),
        published=(
            Published("D", 61.25, "net", "3 folds", "table", "re-run by others", spread=1.5, joint=60),
        ),
        guards=("tests/a.py",),
    )
    presets: ClassVar = {
        "d": Preset("the script", "read in the released code", {"share": 0.5}, {"epochs": 7}, "the rate")
    }
    needs = Needs(additive_head=True, min_modalities=2, max_modalities=2)


def test_the_page_is_fresh():
    assert PAGE.read_text() == page(), "run `make docs`"


def test_the_command_prints_the_page(capsys):
    assert main(["methods", "--page"]) == 0
    assert capsys.readouterr().out == PAGE.read_text()


@pytest.mark.parametrize("name", METHODS.names())
def test_the_command_prints_the_section(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # without a params.yaml
    assert main(["methods", name]) == 0
    told = capsys.readouterr().out
    parts = re.split(r"^(?=## )", PAGE.read_text(), flags=re.MULTILINE)
    assert told.strip() in [part.strip() for part in parts[1:]]
    assert told.startswith(f"## {name}\n")


def test_the_table_at_the_top_holds_every_method_once():
    names = re.findall(r"^\| \[`(\w+)`\]\(#(\w+)\)", PAGE.read_text(), flags=re.MULTILINE)
    assert names == [(name, name) for name in METHODS.names()]


@pytest.mark.parametrize("name", METHODS.own())
def test_the_list_and_the_table_say_who_refuses_samples_that_lack_a_modality(name, capsys):
    refuses = name in {"amco", "greedy", "mla"}
    assert main(["methods"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith(f"{name} ")]
    assert ("samples with every modality" in line) == refuses
    (row,) = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| [`{name}`]")]
    assert ("refused" if refuses else "taken") in row.split("|")[4]


@pytest.mark.parametrize("name", METHODS.names())
def test_defaults_are_those_that_the_class_takes(name):
    """Read back from the table: what it shows builds the same configuration as giving nothing."""
    config = METHODS.get(name).Config
    shown = dict(
        re.findall(r"^\| `(\w+)` +\|[^|]*\| `([^`]*)`", section(name, METHODS.get(name)), re.MULTILINE)
    )
    for key, default in config().model_dump(mode="json").items():
        text = {"None": "nothing", "True": "true", "False": "false"}.get(str(default), default)
        assert shown[key] == str(text) or float(shown[key]) == default


def test_a_section_says_everything_that_the_class_says():
    text = section("example", Example)
    for line in (
        "Weigh the loss by what is weak.",
        "- Intervenes in: objective, data",
        "- Modalities: 2; two in the paper",
        "- Needs: additive fusion; patience",
        "- Missing modalities: refused",
        "- Cost: 4 forward, 1.5 backward for M = 2; 8, 1.5 for M = 3; a second look",
        '- Paper: Ada, Bob, "On looking twice", ICML 2025, arXiv 1234.56789',
        "- Guarded by: `tests/a.py`, `pytest tests/contract -k example`, `make mutations METHOD=example`",
        "Parameters, in `methods.example`. Defaults: nobody's.",
        "- The code does not look.",
    ):
        assert line in text.splitlines(), line
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if "|" in line]
    assert ["`share`", "number", "`0.25`", "", ""] in cells
    assert ["`d`", "share: 0.5", "epochs: 7", "the script", "read in the released code", "the rate"] in cells
    assert ["D", "accuracy 61.25 ± 1.5", "60", "net", "3 folds", "table", "re-run by others"] in cells


def test_a_table_does_not_break_on_a_bar_in_a_cell():
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    tables = [len(re.findall(r"(?<!\\)\|", row)) for row in rows]
    assert set(tables) == {6, 7, 8}


def test_the_page_needs_no_training(capsys):
    """It is text: no random number is drawn for it."""
    before = torch.get_rng_state()
    page()
    assert torch.equal(torch.get_rng_state(), before)
