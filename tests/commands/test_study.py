"""`ambidex study`: every stage once, and again only where parameters, inputs or code changed."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ambidex.base.errors import ModelError, ParamsError, TrainingError
from ambidex.cli import main
from ambidex.commands import freshness, study
from ambidex.report.severity import write
from ambidex.resolve import load_params
from ambidex.resolve.cell import Work, params_of
from ambidex.resolve.run_card import write_records
from ambidex.stages import STAGES

ROOT = Path(__file__).resolve().parents[2]


class Stages:
    """Stands in for the modules of all stages: each writes its records, always with the same result."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.broken = ""
        self.unsaved = ""
        """a report that is written whole, but without the model that was asked for"""

    def module(self, stage: str) -> SimpleNamespace:
        def run(work: Work, inputs: Mapping[str, Path], outputs: Mapping[str, Path]) -> dict[str, Any]:
            params = params_of(work)
            (output,) = outputs.values()
            if output.name == self.broken:
                raise TrainingError("step 3: loss is not finite")
            self.ran.append(f"{stage} {output.name}")
            write_records(output, stage, params, {"accuracy": 0.5})
            if stage == "evaluate" and params.evaluate.save:
                if output.name == self.unsaved:
                    raise ModelError("no model was saved")
                write_records(output / "model", stage, params, {})
            return {"accuracy": 0.5}

        return SimpleNamespace(run=run)

    def since_last_time(self) -> list[str]:
        ran, self.ran = self.ran, []
        return ran


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Stages:
    found = Stages()
    real = importlib.import_module

    def load(name: str) -> Any:
        home, _, last = name.rpartition(".")
        return found.module(last) if home == "ambidex.stages" and last in STAGES else real(name)

    monkeypatch.setattr(importlib, "import_module", load)
    monkeypatch.setattr(study, "show_study", lambda folder: print(f"report: {folder}"))
    return found


def run(runs: Path, *arguments: str) -> int:
    small = [
        "--set",
        "study.seeds=[0]",
        "--set",
        "study.regimes=[pretrained]",
        "--set",
        "study.methods=[joint, ogm_ge]",
    ]
    return main(["study", "--params", str(ROOT / "params.yaml"), "--runs", str(runs), *small, *arguments])


EVERYTHING = [
    "prepare manifest",
    "extract features",
    "pretrain audio",
    "pretrain visual",
    "train joint-pretrained-0",
    "evaluate joint-pretrained-0",
    "train ogm_ge-pretrained-0",
    "evaluate ogm_ge-pretrained-0",
    "compare study",
]


def test_a_study_runs_everything_once(
    fakes: Stages, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path) == 0
    assert fakes.since_last_time() == EVERYTHING
    assert capsys.readouterr().out.endswith(f"report: {tmp_path / 'study'}\n")
    assert run(tmp_path) == 0
    assert fakes.since_last_time() == []
    assert capsys.readouterr().out.count("is up to date") == len(EVERYTHING)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("compare.significance=0.01", ["compare study"]),
        ("evaluate.bins=7", ["evaluate joint-pretrained-0", "evaluate ogm_ge-pretrained-0", "compare study"]),
        ("methods.ogm_ge.alpha=0.3", [*EVERYTHING[6:]]),
        ("methods.ogm_ge.train={epochs: 2}", [*EVERYTHING[6:]]),
        ("train.epochs=3", EVERYTHING[4:]),
        ("pretrain.epochs=3", EVERYTHING[2:]),
        ("prepare.seed=5", EVERYTHING),
        ("evaluate.batch_size=256", []),  # the default, said aloud
        ("extract.workers=3", []),
    ],
)
def test_a_parameter_reruns_what_reads_it(
    fakes: Stages, tmp_path: Path, override: str, expected: list[str]
) -> None:
    run(tmp_path)
    fakes.since_last_time()
    assert run(tmp_path, "--set", override) == 0
    assert fakes.since_last_time() == expected


def test_changed_code_reruns_everything(
    fakes: Stages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path)
    fakes.since_last_time()
    monkeypatch.setattr(freshness, "code_fingerprint", lambda stage, params: "other")
    run(tmp_path)
    assert fakes.since_last_time() == EVERYTHING


def test_changed_data_rerun_everything(fakes: Stages, tmp_path: Path) -> None:
    source = tmp_path / "clips.csv"
    source.write_text("a")
    given = ("--set", f"prepare.source={source}")
    run(tmp_path, *given)
    run(tmp_path, *given)
    assert fakes.since_last_time() == EVERYTHING
    source.write_text("b")
    run(tmp_path, *given)
    assert fakes.since_last_time() == EVERYTHING


def test_an_output_made_anew_reruns_what_reads_it(fakes: Stages, tmp_path: Path) -> None:
    run(tmp_path)
    fakes.since_last_time()
    (tmp_path / "models/joint-pretrained-0/card.json").write_text('{"ambidex": "0.1.0", "stage": "train"}')
    run(tmp_path)
    assert fakes.since_last_time() == ["train joint-pretrained-0"]  # to the same result
    (tmp_path / "models/joint-pretrained-0/metrics.json").write_text('{"accuracy": 0.6}')
    run(tmp_path)
    assert fakes.since_last_time() == ["evaluate joint-pretrained-0", "compare study"]


def test_unfinished_folders_do_not_matter(fakes: Stages, tmp_path: Path) -> None:
    run(tmp_path)
    fakes.since_last_time()
    for name in ("reports/joint-pretrained-1.tmp-7", "encoders/0/audio.partial"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "card.json").write_text("{}")
    run(tmp_path)
    assert fakes.since_last_time() == []


def test_a_cell_that_fails_does_not_stop_the_others(
    fakes: Stages, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fakes.broken = "joint-pretrained-0"
    assert run(tmp_path) == 3
    assert fakes.since_last_time() == [name for name in EVERYTHING if "joint" not in name]
    assert capsys.readouterr().err == "ambidex: joint-pretrained-0 failed: step 3: loss is not finite\n"


def test_a_model_that_could_not_be_saved_is_missed_every_time(
    fakes: Stages, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fakes.unsaved = "joint-pretrained-0"
    save = ("--set", "evaluate.save=true")
    assert run(tmp_path, *save) == 3
    assert fakes.since_last_time() == EVERYTHING  # its report is there, and in the table
    for _ in range(2):
        capsys.readouterr()
        assert run(tmp_path, *save) == 3
        assert fakes.since_last_time() == ["evaluate joint-pretrained-0"]
        assert capsys.readouterr().err == "ambidex: joint-pretrained-0 failed: no model was saved\n"
    fakes.unsaved = ""
    assert run(tmp_path, *save) == 0
    assert fakes.since_last_time() == [
        "evaluate joint-pretrained-0",
        "compare study",
    ]  # the model is part of it
    assert run(tmp_path, *save) == 0
    assert fakes.since_last_time() == []


def step(*splits: str) -> list[str]:
    noise = f"{{modality: audio, name: sound_noise, splits: [{', '.join(splits)}]}}"
    return ["--set", "study.degrade=[0.5, 0]", "--set", f"extract.degrade.steps=[{noise}]"]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[dict[float, Path]]:
    """What is put together at the end of a study over severities."""
    folders: list[dict[float, Path]] = []
    monkeypatch.setattr(write, "write_severities", lambda output, params, given: folders.append(given))
    monkeypatch.setattr(study, "show_severities", lambda folder: print(f"report: {folder}"))
    return folders


def test_severities_share_what_training_does_not_see(
    fakes: Stages, written: list[dict[float, Path]], tmp_path: Path
) -> None:
    assert run(tmp_path) == 0
    fakes.since_last_time()
    assert run(tmp_path, *step("test")) == 0
    own = ["extract features", "evaluate joint-pretrained-0", "evaluate ogm_ge-pretrained-0", "compare study"]
    assert fakes.since_last_time() == own  # severity 0 is the study that was there
    weak = tmp_path / "severities/0.5"
    assert {path.name for path in weak.iterdir() if path.is_dir()} == {"features", "reports", "study"}
    assert written == [{0.0: tmp_path / "reports", 0.5: weak / "reports"}]
    assert run(tmp_path, *step("test")) == 0
    assert fakes.since_last_time() == []


def test_severities_train_anew_where_training_sees_them(
    fakes: Stages, written: list[dict[float, Path]], tmp_path: Path
) -> None:
    run(tmp_path)
    fakes.since_last_time()
    assert run(tmp_path, *step("val", "test")) == 0
    assert fakes.since_last_time() == EVERYTHING[1:]
    assert (tmp_path / "severities/0.5/encoders/0/audio").is_dir()
    assert not (tmp_path / "severities/0.5/manifest").exists()


def test_a_cell_that_fails_at_a_severity_names_it(
    fakes: Stages, written: list[dict[float, Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fakes.broken = "joint-pretrained-0"
    assert run(tmp_path, *step("train")) == 3
    assert capsys.readouterr().err.splitlines() == [
        f"ambidex: joint-pretrained-0 at severity {severity} failed: step 3: loss is not finite"
        for severity in ("0", "0.5")
    ]


@pytest.mark.parametrize("verb", ["prepare", "train", "compare"])
def test_a_single_stage_refuses_severities_in_one_line(
    fakes: Stages, tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    given = ["--params", str(ROOT / "params.yaml"), "--runs", str(tmp_path), *step("test")]
    assert main([verb, *given]) == 2
    error = capsys.readouterr().err
    assert error.startswith(
        f"ambidex: study.degrade: {verb} works at one severity; `ambidex study` alone runs"
    )
    assert error.count("\n") == 1
    assert fakes.since_last_time() == []


@pytest.mark.parametrize(
    ("severities", "message"),
    [
        ("[0, 0.5]", "study.degrade: there is nothing to scale; extract.degrade.steps"),
        ("[0.5]", "study.degrade: got one severity, expected two or more"),
        ("[0, 0.5, 0.5]", "study.degrade: got .0.0, 0.5, 0.5., expected each severity once"),
        ("[0, 2]", "study.degrade.1: got 2, expected"),
    ],
)
def test_wrong_severities_are_one_line(tmp_path: Path, severities: str, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        load_params(ROOT / "params.yaml", [f"study.degrade={severities}"])


def test_a_report_without_a_model_is_whole_where_none_was_asked_for(fakes: Stages, tmp_path: Path) -> None:
    run(tmp_path)
    fakes.since_last_time()
    assert run(tmp_path, "--set", "evaluate.save=false") == 0
    assert fakes.since_last_time() == []
