"""A cell: what a label stands for, resolved once for a command, and the same in what a run leaves behind."""

import json
import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from ambidex import stages
from ambidex.base.errors import ParamsError
from ambidex.cli import main
from ambidex.commands import levels, study
from ambidex.commands.freshness import up_to_date
from ambidex.commands.wiring import places
from ambidex.configuration.optimisation import Train
from ambidex.configuration.params import Params
from ambidex.learn.methods.ogm_ge import OGMGE
from ambidex.resolve import cell as cells
from ambidex.resolve import load_params, parse_params
from ambidex.resolve.cell import Cell, Work, params_of, resolve
from helpers.checkout import ROOT
from helpers.runs import extracted, small_params, write_params

SLOW: dict[str, Any] = {"use": "ogm_ge", "alpha": 0.3, "train": {"learning_rate": 1e-4, "epochs": 2}}
METHODS: dict[str, Any] = {"slow": SLOW, "joint": {}}


def params_for(method: str = "slow", **train: Any) -> Params:
    return small_params(methods=METHODS, train={"method": method, **train})


def test_a_label_is_a_plugin_its_options_and_the_loop_in_effect() -> None:
    params = params_for(seed=5)
    cell = resolve(params)
    assert (cell.label, cell.plugin, cell.method) == ("slow", "ogm_ge", OGMGE)
    assert cell.config == OGMGE.Config(alpha=0.3)
    assert cell.own == {"learning_rate", "epochs"}
    wanted = params.train.model_dump() | {"learning_rate": 1e-4, "epochs": 2, "method": "slow", "seed": 5}
    assert cell.train == Train(**wanted)
    assert cell.build().config is cell.config
    assert cell.build() is not cell.build()


def test_the_loop_of_one_method_is_not_that_of_others() -> None:
    """What all methods share stays in the parameters as they were given, which evaluate records."""
    params = params_for()
    cell = resolve(params, "slow", "frozen", 7)
    assert cell.given == params.model_copy(
        update={"train": params.train.model_copy(update={"method": "slow", "regime": "frozen", "seed": 7})}
    )
    assert (cell.train.regime, cell.train.seed, cell.given.train.epochs) == ("frozen", 7, 3)
    assert cell.params.model_dump() == cell.given.model_dump() | {"train": cell.train.model_dump()}
    assert stages.work_of("evaluate", cell) is cell.given
    assert stages.work_of("train", cell) is cell
    assert resolve(params, "joint").train.epochs == 3


def test_parameters_in_effect_are_the_same_when_they_are_resolved_again() -> None:
    """A rank of torchrun and a reader of params.yaml do that."""
    cell = resolve(params_for())
    again = resolve(parse_params(cell.params.model_dump(mode="json")))
    assert (again.plugin, again.config, again.train, again.own) == (
        cell.plugin,
        cell.config,
        cell.train,
        cell.own,
    )
    assert again.params == cell.params


@pytest.mark.parametrize(
    ("method", "regime", "wanted"),
    [
        ("joint", "scratch", False),
        ("joint", "pretrained", True),
        ("joint", "frozen", True),
        ("unimodal_ensemble", "scratch", True),
    ],
)
def test_which_cells_start_from_encoders(method: str, regime: str, wanted: bool) -> None:
    assert resolve(small_params(), method, regime).starts_from_encoders == wanted


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ("methods.slow.alpha=-1", "methods.slow.alpha: got -1, expected "),
        ("methods.slow.alfa=1", "methods.slow.alfa: unknown key; did you mean 'alpha'? allowed: "),
        (
            "methods.slow.use=ogm",
            "methods.slow: method 'ogm' does not exist; did you mean 'ogm_ge'? allowed: ",
        ),
        ("methods.slow.train.epochs=0", "methods.slow.train.epochs: got 0, expected "),
        (
            "methods.slow.train.epoch=3",
            "methods.slow.train.epoch: unknown key; did you mean 'epochs'? allowed: ",
        ),
        ("methods.slow.train.optimizer=adm", "methods.slow.train.optimizer: got 'adm'; did you mean 'adam'?"),
        ("methods.slow.train.groups.head.rate=3", "methods.slow.train.groups.head.rate: unknown key; "),
        (
            "methods.slow.train.groups.heads={}",
            "methods.slow.train.groups.heads: no such group of parameters; ",
        ),
        (
            "methods.slow.train.learning_rate=true",
            "methods.slow.train.learning_rate: got true, expected a number",
        ),
        ("methods.slow.train=3", "methods.slow.train: got 3, expected a block of keys and values"),
        ("train.method=slower", "train.method: method 'slower' does not exist; "),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_key(sets: str, expected: str, tmp_path: Path) -> None:
    file = write_params(tmp_path / "params.yaml", methods=METHODS)
    with pytest.raises(ParamsError) as caught:
        load_params(file, [sets])
    assert str(caught.value).removeprefix(f"--set {sets}: ").startswith(expected)
    assert "\n" not in str(caught.value)


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> list[Cell]:
    """The cells that were resolved behind a door, in order."""
    made: list[Cell] = []
    real = resolve

    def counted(*given: Any) -> Cell:
        made.append(real(*given))
        return made[-1]

    for module in (cells, levels):
        monkeypatch.setattr(module, "resolve", counted)
    return made


def test_a_command_resolves_its_cell_once(tmp_path: Path, resolved: list[Cell]) -> None:
    runs = tmp_path / "runs"
    file = write_params(
        tmp_path / "params.yaml", methods=METHODS, train={"method": "slow"}, crossfit={"folds": 2}
    )
    extracted(runs)
    for verb in ("train", "crossfit"):
        assert main([verb, "--params", str(file), "--runs", str(runs)]) == 0
        (cell,) = resolved
        assert (cell.label, cell.train.epochs) == ("slow", 2)
        resolved.clear()
    assert main(["evaluate", "--params", str(file), "--runs", str(runs)]) == 0
    assert not resolved


def test_a_study_resolves_each_cell_once(
    tmp_path: Path, resolved: list[Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = {"methods": ["slow", "joint"], "regimes": ["scratch", "pretrained"], "seeds": [0, 1]}
    file = write_params(tmp_path / "params.yaml", methods=METHODS, study=chosen)
    works: list[tuple[str, Work]] = []

    def run(stage: str, work: Work, inputs: stages.Paths, outputs: stages.Paths) -> dict[str, Any]:
        works.append((stage, work))
        return {}

    monkeypatch.setattr(study, "run_stage", run)
    monkeypatch.setattr(study, "show_study", lambda *_: None)
    assert main(["study", "--params", str(file), "--runs", str(tmp_path / "runs")]) == 0
    keys = [(cell.label, cell.train.regime, cell.train.seed) for cell in resolved]
    assert keys == [*product(chosen["methods"], chosen["regimes"], chosen["seeds"])]
    assert [work for stage, work in works if stage == "train"] == resolved
    assert [work for stage, work in works if stage == "evaluate"] == [cell.given for cell in resolved]


def test_what_a_run_leaves_behind_is_its_cell(tmp_path: Path) -> None:
    """params.yaml holds what was trained with, the card which cell it is, and freshness compares with both."""
    layout = extracted(tmp_path)
    cell = resolve(params_for())
    inputs, outputs = places("train", cell, layout)
    stages.run("train", cell, inputs, outputs)
    written = yaml.safe_load((outputs["model"] / "params.yaml").read_text())
    again = resolve(parse_params(written))
    assert (again.config, again.train) == (cell.config, cell.train)
    assert written["train"] == cell.train.model_dump(mode="json")
    assert written["train"]["learning_rate"] == 1e-4
    card = json.loads((outputs["model"] / "card.json").read_text())
    assert (card["method"], card["regime"], card["seed"]) == ("slow", "scratch", 0)
    assert up_to_date("train", cell, inputs, outputs["model"])
    other = {**SLOW, "train": {**SLOW["train"], "learning_rate": 1e-3}}
    for changed in ({**SLOW, "alpha": 0.4}, other):
        moved = resolve(small_params(methods={**METHODS, "slow": changed}, train={"method": "slow"}))
        assert not up_to_date("train", moved, inputs, outputs["model"])
    assert params_of(cell) is cell.params


def test_options_of_methods_are_read_in_one_room() -> None:
    """`methods.LABEL` is worked out in resolve/; whoever else needs a method is handed a cell."""
    files = sorted((ROOT / "src/ambidex").rglob("*.py"))
    readers = [file for file in files if re.search(r"\b(params|given)\.methods\b", file.read_text())]
    assert {file.parent.name for file in readers} == {"resolve"}
