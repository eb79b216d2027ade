"""A model saved by `evaluate --save` is the user's: no evaluation, study, clean-up or dvc run loses it."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from pipelines.dvc_yaml import renewed

from ambidex.base.errors import ModelError, OutputError
from ambidex.base.files import sha256
from ambidex.base.layout import Layout
from ambidex.base.readers import read_json
from ambidex.commands.freshness import up_to_date
from ambidex.report.model_files import is_of_report, keep_saved_model, kept_note
from ambidex.stages import run
from helpers.checkout import ROOT
from helpers.outputs import snapshot
from helpers.runs import extracted, small_params

QUICK = {"diagnostics": [], "allocators": ["uniform"], "allocator": "modality", "folds": 2}


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    found = extracted(tmp_path_factory.mktemp("run"))
    for name, seed in (("one", 0), ("two", 1)):
        params = small_params(train={"method": "joint", "epochs": 1, "seed": seed})
        run("train", params, {"features": found.features}, {"model": found.models / name})
    return found


def inputs(layout: Layout, model: str = "one") -> dict[str, Path]:
    return {"features": layout.features, "model": layout.models / model}


def params(**section: Any) -> Any:
    return small_params(evaluate={**QUICK, **section})


def evaluate(layout: Layout, report: Path, model: str = "one", **section: Any) -> None:
    run("evaluate", params(**section), inputs(layout, model), {"report": report})


@pytest.mark.slow
def test_an_evaluation_without_save_keeps_it(
    layout: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report, given = tmp_path / "r", inputs(layout)
    evaluate(layout, report, save=True)
    saved = snapshot(report / "model")
    assert is_of_report(report)
    assert kept_note(report / "model") == ""

    # with and without a model the report is the same: a study that asks for none need not make it anew
    assert up_to_date("evaluate", params(), given, report)
    assert up_to_date("evaluate", params(save=True), given, report)
    assert not up_to_date("evaluate", params(bins=7), given, report)

    before = snapshot(tmp_path)
    with pytest.raises(OutputError, match="is a model saved by evaluate --save"):
        evaluate(layout, report / "model")
    with pytest.raises(OutputError, match="stands in it"):
        run("evaluate", params(), given | {"model": report / "model"}, {"report": report})
    assert snapshot(tmp_path) == before

    evaluate(layout, report, "two")  # another trained model
    assert snapshot(report / "model") == saved
    assert f"{report / 'model'} was saved by an earlier evaluation and is kept" in capsys.readouterr().out
    assert not is_of_report(report)
    assert "saved by an earlier evaluation" in kept_note(report / "model")
    assert read_json(report / "card.json")["weights"] == sha256(layout.models / "two/model.safetensors")
    assert not up_to_date(
        "evaluate", params(save=True), inputs(layout, "two"), report
    )  # it has none of its own
    assert up_to_date("evaluate", params(), inputs(layout, "two"), report)
    assert {path.name for path in tmp_path.iterdir()} == {"r"}


@pytest.mark.slow
def test_a_save_that_is_refused_keeps_the_one_before_and_one_that_is_not_replaces_it(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ambidex.stages import evaluate as stage

    def refuse(*given: object) -> None:
        raise ModelError("allocator was refused")

    report = tmp_path / "r"
    evaluate(layout, report, save=True)
    saved = snapshot(report / "model")
    with monkeypatch.context() as patched:
        patched.setattr(stage, "write_model", refuse)
        with pytest.raises(ModelError, match="no model was saved"):
            evaluate(layout, report, "two", save=True)
    assert snapshot(report / "model") == saved
    assert not up_to_date(
        "evaluate", params(save=True), inputs(layout, "two"), report
    )  # tried again each time
    evaluate(layout, report, "two", save=True)
    assert is_of_report(report)
    assert snapshot(report / "model") != saved


def a_report(folder: Path) -> Path:
    folder.mkdir()
    (folder / "card.json").write_text('{"stage": "evaluate"}')
    return folder


def test_a_model_that_was_moved_away_and_linked_stays_linked(tmp_path: Path) -> None:
    before, new = a_report(tmp_path / "before"), a_report(tmp_path / "new")
    (tmp_path / "mine").mkdir()
    (before / "model").symlink_to("../mine")
    keep_saved_model(before, new)
    assert str((new / "model").readlink()) == "../mine"


def test_a_model_of_its_own_stays(tmp_path: Path) -> None:
    before, new = a_report(tmp_path / "before"), a_report(tmp_path / "new")
    for report in (before, new):
        (report / "model").mkdir()
        (report / "model/of").write_text(report.name)
    keep_saved_model(before, new)
    assert (new / "model/of").read_text() == "new"
    keep_saved_model(tmp_path / "missing", new)


def clean(folder: Path, *given: str) -> "subprocess.CompletedProcess[str]":
    command = ["make", "-f", str(ROOT / "Makefile"), "clean", *given]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env={**os.environ, "MAKEFLAGS": ""}
    )


def test_make_clean_asks_before_it_deletes_one(tmp_path: Path) -> None:
    saved = tmp_path / "runs/reports/joint-scratch-0/model"
    saved.mkdir(parents=True)
    refused = clean(tmp_path)
    assert refused.returncode != 0
    assert "runs/reports/joint-scratch-0/model" in refused.stderr
    assert saved.exists()
    assert clean(tmp_path, "SAVED=delete").returncode == 0
    assert not (tmp_path / "runs").exists()
    (tmp_path / "runs/models").mkdir(parents=True)
    assert clean(tmp_path).returncode == 0
    assert not (tmp_path / "runs").exists()


def test_dvc_deletes_no_report_before_it_runs() -> None:
    (out,) = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["evaluate"]["outs"]
    assert list(out.values()) == [{"persist": True}]


def test_dvc_quotes_what_it_puts_into_a_shell() -> None:
    with_crossfit = (ROOT / "dvc.yaml").read_text().replace("  evaluate:\n", "  crossfit:\n\n  evaluate:\n")
    stages = yaml.safe_load(renewed(with_crossfit))["stages"]
    commands = [stage["cmd"] for stage in stages.values()]
    values = [word for command in commands for word in command.split() if "${" in word]
    assert len(values) == 11
    assert all(re.fullmatch(r"'\$\{item\.\w+\}'", word) for word in values)
