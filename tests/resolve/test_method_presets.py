"""Presets: published settings reach training, what was set explicitly wins, and a wrong name costs one line."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from components._call import read_params
from pipelines.texts import data_text, learning_text

from ambidex.base.errors import ParamsError
from ambidex.cli import main
from ambidex.commands.freshness import relevant
from ambidex.configuration.optimisation import Train
from ambidex.configuration.params import Params
from ambidex.learn.loop.length import epochs_of
from ambidex.learn.method import METHODS
from ambidex.resolve import load_params, parse_params
from ambidex.resolve.cell import resolve
from ambidex.resolve.presets import preset_note
from ambidex.stages._method import check_method
from helpers import runs

SMALL: dict[str, Any] = {
    "extract": {"modalities": {"left": {"kind": "vector"}, "right": {"kind": "vector"}}},
    "model": {"encoders": {"left": {"name": "mlp"}, "right": {"name": "mlp"}}},
}

LOOPS = {  # method, preset: optimizer, learning rate, batch size, weight decay, epochs, epochs to a drop (0: none)
    ("ogm_ge", "cremad"): ("sgd", 1e-3, 64, 1e-4, 100, 70),
    ("ogm_ge", "vggsound"): ("sgd", 1e-3, 64, 1e-4, 100, 70),
    ("ogm_ge", "kinetics_sounds"): ("adamw", 5e-5, 32, 0.01, 100, 40),
    ("ogm_ge", "cremad_journal"): ("adamw", 1e-3, 32, 0.01, 100, 20),
    ("pmr", "cremad"): ("sgd", 1e-3, 64, 1e-4, 130, 70),
    ("pmr", "cremad_gated"): ("sgd", 1e-3, 64, 1e-4, 130, 70),
    ("smv", "kinetics_sounds"): ("adam", 5e-5, 64, 1e-4, 60, 30),
    ("smv", "kinetics_sounds_modality"): ("adam", 5e-5, 64, 1e-4, 60, 30),
    ("opm", "kinetics_sounds"): ("adamw", 5e-5, 32, 0.01, 100, 40),
    ("inforeg", "paper"): ("sgd", 2e-3, 64, 1e-4, 50, 30),
    ("inforeg", "released"): ("sgd", 2e-3, 64, 1e-4, 50, 30),
    ("reconboost", "cremad"): ("sgd", 0.01, 64, 5e-4, 800, 240),
    ("relearning", "released"): ("sgd", 2e-3, 64, 1e-4, 90, 0),
}
OPTIONS = {
    ("ogm_ge", "cremad"): {"alpha": 0.8, "start": 0, "end": 50},
    ("ogm_ge", "vggsound"): {"alpha": 0.1, "start": 0, "end": 50},
    ("ogm_ge", "kinetics_sounds"): {"start": 6, "end": 60},
    ("ogm_ge", "cremad_journal"): {"alpha": 2.6, "start": 6, "end": 80},
    ("pmr", "cremad"): {"mode": "released", "alpha": 2.0, "momentum": 0.0, "epochs": 71},
    ("pmr", "cremad_gated"): {"mode": "released", "alpha": 3.0, "momentum": 0.0, "epochs": 71},
    ("smv", "kinetics_sounds_modality"): {"level": "modality"},
    ("opm", "kinetics_sounds"): {"base": 0.5, "slope": 0.5, "execute": 0.7, "warm_up": 6},
    ("inforeg", "paper"): {"mode": "paper", "beta": 0.9, "threshold": 0.04},
    ("inforeg", "released"): {"mode": "released", "threshold": 0.05},
    ("reconboost", "cremad"): {"epochs_per_stage": 4, "correct_epochs": 4, "w1": 5.0, "w2": 1.0},
    ("reconboost", "ave"): {"epochs_per_stage": 4, "correct_epochs": 4, "w1": 4.0, "w2": 1.0},
    ("relearning", "released"): {"strength": 3.0, "every": 20, "times": 3},
    ("agm", "cremad"): {"alpha": 1.5},
    ("agm", "av_mnist"): {"alpha": 2.5},
    ("agm", "ur_funny"): {"alpha": 4.0},
    ("greedy", "modelnet40"): {"threshold": 0.01, "steps": 5, "warm_up": 1},
}


def params_of(methods: dict[str, Any] | None = None, **train: Any) -> Params:
    return parse_params(SMALL | {"train": train, "methods": methods or {}})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "params.yaml"
    train = {"method": "ogm_ge", "epochs": 8, "batch_size": 16}
    path.write_text(
        yaml.safe_dump(SMALL | {"train": train, "methods": {"joint": {}, "ogm_ge": {"alpha": 0.3}}})
    )
    return path


def trained(params: Params, label: str = "ogm_ge") -> Train:
    return resolve(params, label).train


def options(params: Params, label: str = "ogm_ge") -> dict[str, Any]:
    return resolve(params, label).config.model_dump(exclude_unset=True)


@pytest.mark.parametrize(("name", "preset"), LOOPS)
def test_the_loop_is_the_published_one(name: str, preset: str) -> None:
    train = trained(params_of(method=name, preset=preset), name)
    optimizer, rate, batch, decay, epochs, drop = LOOPS[name, preset]
    assert (train.optimizer, train.learning_rate, train.batch_size) == (optimizer, rate, batch)
    assert (train.weight_decay, train.epochs) == (decay, epochs)
    assert train.schedule == ("step" if drop else "constant")
    if drop:
        assert (train.step_epochs, train.step_factor) == (drop, 0.1)
    if optimizer == "sgd":
        assert train.momentum == 0.9


@pytest.mark.parametrize(("name", "preset"), OPTIONS)
def test_the_parameters_are_the_published_ones(name: str, preset: str) -> None:
    found = options(params_of(method=name, preset=preset), name)
    assert {key: found[key] for key in OPTIONS[name, preset]} == OPTIONS[name, preset]


def test_what_a_source_does_not_say_stays_as_it_is() -> None:
    train = trained(params_of(method="pmr", preset="toolkit"), "pmr")
    assert (train.epochs, train.weight_decay) == (Train().epochs, Train().weight_decay)
    assert "alpha" not in options(params_of(method="ogm_ge", preset="kinetics_sounds"))
    assert "alpha" in METHODS.get("ogm_ge").presets["kinetics_sounds"].unknown


@pytest.mark.parametrize(("name", "preset"), LOOPS)
def test_it_does_not_inherit_what_our_defaults_add_to_the_loop(name: str, preset: str) -> None:
    train = trained(params_of(method=name, preset=preset), name)
    assert (train.clip_norm, train.patience, train.label_smoothing) == (None, None, 0)
    assert (train.warmup, train.warmup_steps, train.schedule_per) == (0, 0, "epoch")
    assert epochs_of(train, 1) == train.epochs  # no floor


def test_of_the_loop_too_what_stands_beside_it_wins() -> None:
    train = trained(params_of(method="ogm_ge", preset="cremad", clip_norm=2.0))
    assert (train.clip_norm, train.patience) == (2.0, None)


def test_what_stands_beside_it_wins() -> None:
    params = params_of({"ogm_ge": {"alpha": 0.3}}, method="ogm_ge", preset="cremad", epochs=8)
    assert (trained(params).epochs, trained(params).batch_size) == (8, 64)
    assert options(params)["alpha"] == 0.3
    assert options(params)["end"] == 50


def test_one_of_the_methods_own_wins_over_the_shared_loop(file: Path) -> None:
    raw = yaml.safe_load(file.read_text())
    raw["methods"]["ogm_ge"]["train"] = {"preset": "cremad", "batch_size": 4}
    params = parse_params(raw)
    assert (trained(params).epochs, trained(params).batch_size) == (100, 4)
    assert options(params)["alpha"] == 0.3
    assert (trained(params, "joint").epochs, trained(params, "joint").preset) == (8, None)


def test_a_label_takes_the_preset_of_its_plugin() -> None:
    slow = {"use": "ogm_ge", "alpha": 0.2, "train": {"preset": "cremad"}}
    params = params_of({"slow": slow}, method="joint")
    assert resolve(params, "slow").plugin == "ogm_ge"
    assert options(params, "slow") == {"alpha": 0.2, "ge": True, "start": 0, "end": 50}
    assert trained(params, "slow").epochs == 100


def test_set_wins_over_the_preset_and_a_preset_that_is_set_over_the_file(file: Path) -> None:
    params = load_params(file, ["train.preset=cremad"])
    assert (trained(params).epochs, trained(params).batch_size, options(params)["alpha"]) == (100, 64, 0.8)
    params = load_params(file, ["train.epochs=3", "methods.ogm_ge.alpha=0.9", "train.preset=cremad"])
    assert (trained(params).epochs, trained(params).batch_size, options(params)["alpha"]) == (3, 64, 0.9)
    params = load_params(file, ["methods.ogm_ge.train.preset=cremad", "train.epochs=3"])
    assert (trained(params).epochs, trained(params).batch_size, options(params)["alpha"]) == (3, 64, 0.8)
    params = load_params(file, ["train={method: ogm_ge, preset: cremad, epochs: 2}"])
    assert (trained(params).epochs, trained(params).batch_size, options(params)["alpha"]) == (2, 64, 0.8)


def test_without_a_preset_nothing_changes(file: Path) -> None:
    params = load_params(file)
    assert params.methods == {"joint": {}, "ogm_ge": {"alpha": 0.3}}
    assert trained(params).epochs == 8


def test_null_leaves_a_method_out(file: Path) -> None:
    params = load_params(file, ["methods.joint.train.preset=null", "train.preset=cremad"])
    assert (trained(params, "joint").epochs, trained(params).epochs) == (8, 100)


@pytest.mark.parametrize("sets", [["train.preset=cremad"], ["train.preset=cremad", "train.epochs=3"]])
def test_every_door_resolves_the_same(file: Path, sets: list[str]) -> None:
    """The command line, a rank of torchrun and a Kubeflow component train with the same settings."""
    params = load_params(file, sets)
    here = resolve(params, "ogm_ge").params.model_dump(mode="json")
    rank = parse_params(params.model_dump(mode="json"))
    component = read_params("train", [data_text(params), learning_text(params)], {"train.method": "ogm_ge"})
    for params in (rank, component):
        there = resolve(params, "ogm_ge").params.model_dump(mode="json")
        assert (there["train"], there["methods"]["ogm_ge"]) == (here["train"], here["methods"]["ogm_ge"])


def test_a_preset_in_the_file_reaches_a_component_for_any_method(file: Path) -> None:
    """The method is given to the component, after the parameters were written."""
    file.write_text(yaml.safe_dump(SMALL | {"train": {"preset": "kinetics_sounds", "method": "opm"}}))
    params = load_params(file)
    texts = [data_text(params), learning_text(params)]
    assert trained(read_params("train", texts, {"train.method": "ogm_ge"})).learning_rate == 5e-5


def test_another_preset_makes_an_output_out_of_date(file: Path) -> None:
    resolved = [
        resolve(load_params(file, [f"train.preset={name}"])).params.model_dump(mode="json")
        for name in ("cremad", "vggsound", "cremad")
    ]
    first, second, third = (relevant("train", "ogm_ge", one) for one in resolved)
    assert first != second
    assert first == third


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        (
            ["train.preset=cremd"],
            "train.preset: method ogm_ge has no preset 'cremd'; did you mean 'cremad'? allowed: ",
        ),
        (
            ["train.preset=cremad", "train.method=joint"],
            "train.preset: method joint has no preset 'cremad'; it has none",
        ),
        (
            ["methods.ogm_ge.train.preset=kinetics_sound"],
            "methods.ogm_ge.train.preset: method ogm_ge has no preset 'kinetics_sound'; did you mean 'kinetics_s",
        ),
        (["train.preset=5"], "train.preset: got 5, expected text"),
        (["methods.ogm_ge.train=5"], "methods.ogm_ge.train: got 5, expected a block"),
        (["methods.ogm_ge.train=5", "train.preset=cremad"], "methods.ogm_ge.train: got 5, expected a block"),
    ],
)
def test_a_wrong_preset_costs_one_line(file: Path, sets: list[str], expected: str) -> None:
    with pytest.raises(ParamsError) as caught:
        load_params(file, sets)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_method_of_the_study_without_the_preset_is_refused_when_it_is_trained(file: Path) -> None:
    params = load_params(file, ["train.preset=cremad", "study.methods=[joint, ogm_ge]"])
    with pytest.raises(
        ParamsError, match=r"joint has no preset 'cremad'; it has none; without: methods\.joint"
    ):
        check_method(resolve(params, "joint"))


def test_the_note_says_what_was_set_otherwise(file: Path) -> None:
    params = load_params(file, ["train.preset=cremad", "train.epochs=3"])
    assert preset_note(resolve(params)) == ("preset cremad of ogm_ge: set otherwise: epochs 3 instead of 100")
    params = load_params(file, ["train.preset=cremad"])
    assert preset_note(resolve(params)).endswith("all as published")
    params = load_params(file, ["train.preset=cremad", "train.patience=4", "train.epochs=null"])
    note = preset_note(resolve(params))  # what is published has no patience
    assert note.endswith("set otherwise: patience 4 instead of null, epochs null instead of 100")
    assert preset_note(resolve(load_params(file))) == ""


def test_training_says_and_records_what_it_was_done_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.extracted(tmp_path / "runs")
    given = runs.write_params(tmp_path / "params.yaml", train={"regime": "scratch"})
    sets = ["--set", "train.preset=kinetics_sounds", "--set", "train.epochs=2", "--set", "train.log_every=1"]
    assert (
        main(["train", "--method", "opm", "--params", str(given), "--runs", str(tmp_path / "runs"), *sets])
        == 0
    )
    assert (
        "train: preset kinetics_sounds of opm: set otherwise: epochs 2 instead of 100\n"
        in capsys.readouterr().out
    )
    written = yaml.safe_load((tmp_path / "runs/models/opm-scratch-0/params.yaml").read_text())
    train = written["train"]
    assert (train["preset"], train["epochs"], train["optimizer"]) == ("kinetics_sounds", 2, "adamw")
    assert (train["learning_rate"], train["batch_size"]) == (5e-5, 32)
    assert written["methods"]["opm"]["base"] == 0.5


def test_the_command_lists_presets(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # without a params.yaml
    assert main(["methods", "ogm_ge"]) == 0
    text = capsys.readouterr().out
    for name in METHODS.get("ogm_ge").presets:
        assert f"\n| `{name}` " in text
