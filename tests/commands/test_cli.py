"""The command line: help without heavy imports, one line and an exit code for every mistake, places and flags."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ambidex import stages
from ambidex.base.errors import TrainingError
from ambidex.base.layout import Layout
from ambidex.cli import main
from ambidex.commands import doctor
from ambidex.commands.plugins import registry
from ambidex.commands.reference import markdown
from ambidex.commands.verbs import PATHS, STAGE_VERBS
from ambidex.commands.wiring import places
from ambidex.resolve import load_params
from helpers.words import REGISTRIES

ROOT = Path(__file__).resolve().parents[2]
PARAMS = str(ROOT / "params.yaml")
HEAVY = ("torch", "numpy", "pydantic", "yaml", "av", "scipy")


class Calls:
    """Stands in for `stages.run`: remembers what was asked for."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.seen: list[tuple[str, Any, dict[str, Path], dict[str, Path]]] = []

    def __call__(self, stage: str, params: Any, inputs: Any, outputs: Any) -> dict[str, Any]:
        self.seen.append((stage, params, dict(inputs), dict(outputs)))
        if self.error:
            raise self.error
        return {"val": {"accuracy": 0.75}, "epoch": 3, "protocol": "groups disjoint"}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    found = Calls()
    monkeypatch.setattr(stages, "run", found)
    return found


def run(*arguments: str, runs: Path | str = "runs") -> int:
    return main([*arguments, "--params", PARAMS, "--runs", str(runs)])


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["train", "--help"], ["predict", "--help"], ["methods", "--help"], ["--version"]],
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom ambidex.cli import main\n"
        f"try:\n    main({arguments})\nexcept SystemExit as end:\n    assert end.code == 0\n"
        f"print('heavy:', [name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("heavy: []")


def test_every_verb_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in STAGE_VERBS:
        with pytest.raises(SystemExit) as end:
            main([verb.name, "--help"])
        text = capsys.readouterr().out
        assert end.value.code == 0
        assert verb.example in text
        assert all(
            f"--{flag}" in text and PATHS[name] in " ".join(text.split())
            for flag, name in (*((name, name) for name in verb.reads), ("out", verb.writes))
        )
    assert tuple(verb.name for verb in STAGE_VERBS) == stages.STAGES


def test_examples_in_the_help_are_valid(
    calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_clips.csv").touch()
    monkeypatch.chdir(tmp_path)
    for verb in STAGE_VERBS:
        _, *arguments = verb.example.split()
        if "--show" not in arguments:
            assert run(*arguments) == 0, verb.name
    shown = {"prepare", "extract", "merge", "pretrain", "train", "crossfit", "evaluate"}
    assert {stage for stage, *_ in calls.seen} == shown


def test_a_part_has_a_place_of_its_own_and_merge_reads_them_all(calls: Calls, tmp_path: Path) -> None:
    assert run("extract", "--part", "1/3", runs=tmp_path) == 0
    assert run("merge", runs=tmp_path) == 0
    (_, params, _, part), (_, _, read, written) = calls.seen
    assert (params.extract.part.index, params.extract.part.of) == (1, 3)
    assert part == {"features": tmp_path / "parts/1"}
    assert (read, written) == ({"parts": tmp_path / "parts"}, {"features": tmp_path / "features"})
    assert run("extract", "--part", "3/3", runs=tmp_path) == 2


def test_train_reads_encoders_unless_from_scratch(calls: Calls, tmp_path: Path) -> None:
    (tmp_path / "encoders/7").mkdir(
        parents=True
    )  # named where they are; the stage says so where they are missing
    assert run("train", "--method", "joint", "--regime", "pretrained", "--seed", "7", runs=tmp_path) == 0
    assert run("train", "--method", "joint", "--regime", "scratch", runs=tmp_path) == 0
    (_, params, inputs, outputs), (_, _, scratch, _) = calls.seen
    assert (params.train.method, params.train.regime, params.train.seed) == ("joint", "pretrained", 7)
    assert inputs == {"features": tmp_path / "features", "encoders": tmp_path / "encoders/7"}
    assert outputs == {"model": tmp_path / "models/joint-pretrained-7"}
    assert scratch == {"features": tmp_path / "features"}


def test_evaluate_reads_the_cross_fitted_split_where_asked_and_there(calls: Calls, tmp_path: Path) -> None:
    (tmp_path / "crossfit/joint-frozen-2").mkdir(parents=True)
    cell = ("--method", "joint", "--regime", "frozen", "--seed", "2")
    asked = ("--set", "evaluate.fit_on=crossfit")
    assert run("crossfit", *cell, runs=tmp_path) == 0
    assert run("evaluate", *cell, *asked, runs=tmp_path) == 0
    assert run("evaluate", *cell, runs=tmp_path) == 0
    assert run("evaluate", *cell[:-1], "3", *asked, runs=tmp_path) == 0
    made, *read = calls.seen
    assert made[2:] == (
        {"features": tmp_path / "features"},
        {"crossfit": tmp_path / "crossfit/joint-frozen-2"},
    )
    found = [inputs.get("crossfit") for _, _, inputs, _ in read]
    assert found == [tmp_path / "crossfit/joint-frozen-2", None, None]


def test_flags_come_after_set(calls: Calls, tmp_path: Path) -> None:
    assert run("train", "--set", "train.seed=1", "--seed", "2", "--set", "train.epochs=9", runs=tmp_path) == 0
    (_, params, _, _) = calls.seen[0]
    assert (params.train.seed, params.train.epochs) == (2, 9)


def test_evaluate_names_its_allocator_and_saves(calls: Calls, tmp_path: Path) -> None:
    assert run("evaluate", "--allocator", "category", "--save", runs=tmp_path) == 0
    assert run("evaluate", runs=tmp_path) == 0
    (_, params, _, _), (_, plain, _, _) = calls.seen
    assert (params.evaluate.allocator, params.evaluate.save) == ("category", True)
    assert not plain.evaluate.save


def test_places_can_be_named_one_by_one(calls: Calls, tmp_path: Path) -> None:
    assert run("evaluate", "--model", "a", "--features", "b", "--out", "c", runs=tmp_path) == 0
    _, _, inputs, outputs = calls.seen[0]
    assert (inputs, outputs) == ({"model": Path("a"), "features": Path("b")}, {"report": Path("c")})


def test_pretrain_means_every_modality(
    calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("pretrain", "--seed", "1", runs=tmp_path) == 0
    assert [(p.pretrain.modality, o["encoder"]) for _, p, _, o in calls.seen] == [
        ("audio", tmp_path / "encoders/1/audio"),
        ("visual", tmp_path / "encoders/1/visual"),
    ]
    assert run("pretrain", "--out", "here", runs=tmp_path) == 2
    assert capsys.readouterr().err.startswith("ambidex: --out: is one folder, and there are 2 modalities")
    assert run("pretrain", "--out", "here", "--modality", "audio", runs=tmp_path) == 0


def test_optional_inputs_are_given_where_they_exist(tmp_path: Path) -> None:
    params, layout = load_params(Path(PARAMS)), Layout(tmp_path)
    assert set(places("evaluate", params, layout)[0]) == {"features", "model"}
    assert set(places("compare", params, layout)[0]) == {"reports"}
    layout.encoder("audio", params.train.seed).mkdir(parents=True)
    assert places("evaluate", params, layout)[0]["encoders"] == tmp_path / "encoders/0"
    assert places("compare", params, layout)[0]["encoders"] == tmp_path / "encoders"


def test_a_stage_says_what_it_wrote(calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("train", runs=tmp_path)
    text = capsys.readouterr().out
    assert f"train: wrote {tmp_path / 'models/multi_task-pretrained-0'} in " in text
    assert text.endswith("  epoch 3, val.accuracy 0.75\n")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["trian"], "ambidex: argument VERB: invalid choice: 'trian'"),
        (["train", "--epochs", "3"], "ambidex: unrecognized arguments: --epochs 3"),
        (["train", "--params"], "ambidex train: argument --params: expected one argument"),
        (["methods", "a", "b"], "ambidex: unrecognized arguments: b"),
        (["predict", "model"], "ambidex predict: the following arguments are required: CLIP"),
        (
            ["predict", "model", "a.mp4", "--top", "0"],
            "ambidex predict: argument --top: got 0, expected 1 or more",
        ),
        (
            ["predict", "model", "a.mp4", "--top", "x"],
            "ambidex predict: argument --top: invalid count value: 'x'",
        ),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    error = capsys.readouterr().err
    assert end.value.code == 2
    assert error.startswith(expected)
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["train", "--set", "train.epoch=3"],
            "--set train.epoch=3: train.epoch: unknown key; did you mean 'epochs'?",
        ),
        (["train", "--method", "ogm"], "--set train.method=ogm: train.method: method 'ogm' does not exist"),
        (["extract"], "runs/manifest: extract needs manifest from here, and nothing is there"),
        (
            ["evaluate", "--allocator", "modalty"],
            "allocator 'modalty' does not exist; did you mean 'modality'?",
        ),
        (
            ["compare", "--show"],
            "study/compare.json: cannot be read (No such file or directory); run compare first",
        ),
    ],
)
def test_a_mistake_of_the_user_is_one_line(
    arguments: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments, runs=tmp_path / "runs") == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.startswith("ambidex: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code", "expected"),
    [
        (
            TrainingError("step 3: loss 'fused' is not finite\nlast good checkpoint: x"),
            3,
            "not finite last good",
        ),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "runs/x"), 3, "runs/x: No space left on device"),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "runs/x"), 3, "runs/x: Permission denied"),
    ],
)
def test_what_stops_a_stage_is_one_line(
    calls: Calls,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    expected: str,
) -> None:
    calls.error = error
    assert run("train", runs=tmp_path) == code
    text = capsys.readouterr().err
    assert expected in text
    assert text.count("\n") == 1


def test_a_bug_is_not_hidden(
    calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, and the traceback in a file; at once where AMBIDEX_DEBUG is set."""
    calls.error = ZeroDivisionError("a bug\x1b[2J" + "!" * 5_000)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert run("train", runs=tmp_path) == 70
    error = capsys.readouterr().err
    assert error.startswith("ambidex: this is a bug of ambidex, please report it with ")
    assert error.count("\n") == 1
    assert len(error) <= 301
    assert "\x1b" not in error
    (trace,) = tmp_path.glob("ambidex-traceback-*.txt")
    assert "ZeroDivisionError: a bug" in trace.read_text()
    monkeypatch.setenv("AMBIDEX_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        run("train", runs=tmp_path)


@pytest.mark.parametrize("kind", REGISTRIES)
def test_plugins_are_listed_and_explained(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([kind]) == 0
    text = capsys.readouterr().out
    names = registry(kind).names()
    assert names
    for name in names:
        assert f"\n{name} " in f"\n{text}"
        assert main([kind, name]) == 0
        explained = capsys.readouterr().out
        config = registry(kind).get(name).Config
        assert explained.removeprefix("## ").startswith(f"{name}\n")
        row = "\n| `{}` " if kind == "methods" else "\n  {} "
        assert all(row.format(key) in explained for key in config.model_fields)


def test_a_plugin_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", "ogm"]) == 2
    assert "did you mean 'ogm_ge'?" in capsys.readouterr().err


def test_parameter_reference_is_fresh() -> None:
    assert (ROOT / "docs/parameters.md").read_text() == markdown(), "run `make docs`"


def test_parameter_reference_explains_every_key() -> None:
    text = markdown()
    bare = [
        line
        for line in text.splitlines()
        if line.endswith("|  |") and not line.startswith(("| `kind`", "| `name`"))
    ]
    assert not bare
    assert (
        "| `batch_size` | whole number | `32` | at least 1, at most 1000000 "
        "| samples per optimiser step, over all devices |" in text
    )
    assert "## extract.modalities.NAME (kind: log_mel or log_stft)" in text


def test_doctor_finds_this_machine_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--params", PARAMS, "--runs", str(tmp_path / "not/yet")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "ready"
    assert {line.split()[1] for line in lines[:-2]} >= {
        "python",
        "torch",
        "disk",
        "media",
        "spectrogram",
        "dvc",
        "kfp",
    }
    assert any("wrote and read back a clip with picture and sound" in line for line in lines)


def test_doctor_says_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = tmp_path / "params.yaml"
    params.write_text("train: {epochs: 0}\n")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", _refuse)
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    found = {finding.subject: finding for finding in doctor.examine(params, tmp_path)}
    assert {name for name, finding in found.items() if finding.level == doctor.FAIL} == {
        "params",
        "disk",
        "folder",
    }
    assert "cannot be written (Permission denied)" in found["folder"].text
    assert (
        found["kfp"].text
        == "not installed; only needed for the Kubeflow pipeline: pip install 'ambidex[kubeflow]'"
    )


def _refuse(**_: Any) -> None:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def test_what_an_allocator_needs_is_said_with_the_key_that_decides(
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = ["--params", str(PARAMS)]
    assert main(["allocators"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert "  classifiers  " in lines["temperature"]
    assert "  classifiers  " not in lines["modality"]
    refuse = ["--set", "evaluate.standalone=refuse", "--set", "evaluate.options.temperature.shrinkage=2"]
    assert main(["allocators", "temperature", *file, *refuse]) == 0
    text = capsys.readouterr().out
    assert "\nNeeds: classifiers\n" in text
    assert text.endswith(
        "  it is fitted, as all are\n  evaluate.standalone: refuse\n  evaluate.options.temperature: shrinkage=2\n"
    )
    assert main(["allocators", "norm", *file, "--set", "evaluate.allocators=[modality]"]) == 0
    assert capsys.readouterr().out.endswith("  not used\n")
    assert main(["allocators", "norm", *file, "--set", "evaluate.allocators=[norm]"]) == 0
    assert capsys.readouterr().out.endswith("  evaluate.allocators names it\n")
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    assert "evaluate.standalone" in capsys.readouterr().out


def test_an_explanation_ends_with_what_the_file_sets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = ["--params", str(PARAMS)]
    assert main(["methods", "ogm_ge", *file, "--set", "methods.ogm_ge.alpha=1.5"]) == 0
    assert capsys.readouterr().out.endswith(f"In {PARAMS}:\n  methods.ogm_ge: alpha=1.5\n")
    assert main(["methods", "ogm_ge", *file, "--set", "methods.slow={use: ogm_ge, ge: false}"]) == 0
    assert "  methods.slow: ge=False\n" in capsys.readouterr().out
    assert main(["fusions", "gated", *file]) == 0
    assert capsys.readouterr().out.endswith("  not used\n")
    assert main(["methods", "ogm_ge", *file, "--set", "methods.ogm_ge.alfa=1"]) == 2
    wrong = capsys.readouterr()
    assert "did you mean 'alpha'" in wrong.err
    assert "alpha" in wrong.out  # who mends the file needs the explanation all the same
    assert main(["methods", "ogm_ge", "--params", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)  # there is no params.yaml, and nobody named one
    assert main(["methods", "ogm_ge"]) == 0
    assert "In " not in capsys.readouterr().out.splitlines()[-2]


def test_doctor_checks_the_parameters_as_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--params", str(PARAMS), "--set", "train.epochs=x"]) == 1
    assert "train.epochs: got 'x'" in capsys.readouterr().out
