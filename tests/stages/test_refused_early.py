"""A method that cannot work on the model stops before anything is read, trained or written, with one line."""

import re
from pathlib import Path
from typing import Any

import pytest
from components._call import call

from ambidex.base.errors import ModelError
from ambidex.base.layout import Layout
from ambidex.cli import main
from ambidex.learn.method import METHODS
from ambidex.resolve import load_params
from ambidex.resolve.cell import resolve
from ambidex.stages._method import check_method
from helpers.runs import write_params

FILM = "model.fusion.name=film"
THIRD = [
    "extract.modalities.middle={kind: vector}",
    "model.encoders.middle={name: mlp, hidden: [8], dim: 8}",
]
REFUSED = [  # what is set, and what the line must say
    (
        ["train.method=ogm_ge", FILM],
        "method ogm_ge: needs contributions that sum to the logits, fusion 'film' has none",
    ),
    (["train.method=ogm_ge", FILM], "; use fusion concat, sum or shared"),
    (
        ["train.method=adaptive_head", FILM],
        "method adaptive_head: needs contributions that sum to the logits",
    ),
    (["train.method=multi_task", FILM], "method multi_task: heads 'split' needs contributions"),
    (["train.method=multi_task", FILM], "use heads: own, or fusion concat"),
    (
        ["train.method=inforeg", "methods.inforeg.mode=released"],
        "mode 'released' knows the modalities audio and visual",
    ),
    (
        ["train.method=greedy"],
        "method greedy: exchanges between the stages of encoders, 'mlp' of left has none; use ",
    ),
    (
        ["train.method=greedy", *THIRD],
        "method greedy: works on 2 modalities, the model has 3 (left, right, middle)",
    ),
    (["train.method=greedy", *THIRD], "; methods for 3: adaptive_head, "),
    (
        ["train.method=mla", "methods.mla.weights=fixed", "methods.mla.fixed={left: 1.0}"],
        "fixed: got {'left': 1.0}, expected a weight of 0 or more for each of left, right",
    ),
    (["train.method=joint", "train.preset=cremad"], "method joint has no preset 'cremad'; it has none"),
]
IDS = [f"{number}-{sets[0].partition('=')[2]}" for number, (sets, _) in enumerate(REFUSED)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_params(tmp_path / "params.yaml", train={"regime": "pretrained"})


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Features and classifiers that nobody can read: whoever looks at them first says something else."""
    found = Layout(tmp_path / "runs")
    for folder in (found.features, found.encoders(0)):
        folder.mkdir(parents=True)
        (folder / "index.json").write_text("nothing that could be read")
    return found


def everything(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    return told.err


@pytest.mark.parametrize(("sets", "expected"), REFUSED, ids=IDS)
@pytest.mark.parametrize("stage", ["train", "crossfit"])
def test_a_stage_stops_before_it_looks_at_anything(
    stage: str, sets: list[str], expected: str, file: Path, layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    before = everything(layout.root)
    given = [part for one in sets for part in ("--set", one)]
    assert main([stage, "--params", str(file), "--runs", str(layout.root), *given]) == 2
    assert expected in one_line(capsys)
    assert everything(layout.root) == before


def test_what_is_not_refused_goes_on_to_the_data(
    file: Path, layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--method", "ogm_ge", "--params", str(file), "--runs", str(layout.root)]) != 0
    assert "method ogm_ge" not in one_line(capsys)


def test_a_study_checks_all_cells_before_the_first(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = ["--set", "study.methods=[joint, ogm_ge, greedy]", "--set", "study.seeds=[0]"]
    runs = tmp_path / "runs"
    assert main(["study", "--params", str(file), "--runs", str(runs), *cells]) == 2
    assert "method greedy: exchanges between the stages" in one_line(capsys)
    assert not runs.exists()


def test_a_study_checks_every_regime(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = {m: {"name": "small_cnn"} for m in ("left", "right")}
    file = write_params(tmp_path / "params.yaml", model={"encoders": small})
    cells = ["--set", "study.methods=[greedy]", "--set", "study.regimes=[scratch, frozen]"]
    assert main(["study", "--params", str(file), "--runs", str(tmp_path / "runs"), *cells]) == 2
    assert "and they are frozen; use regime scratch or pretrained" in one_line(capsys)
    assert not (tmp_path / "runs").exists()


def test_a_component_stops_the_same_way(
    file: Path, layout: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"features": str(layout.features), "encoders": str(layout.root / "encoders")}
    with pytest.raises(SystemExit) as stopped:
        call(
            "train",
            [file.read_text()],
            places,
            {"model": str(tmp_path / "model")},
            {"train.method": "greedy"},
        )
    assert stopped.value.code == 2
    assert "method greedy: exchanges between the stages" in one_line(capsys)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("modalities", [1, 3])
def test_the_methods_named_instead_are_those_that_work(modalities: int, file: Path) -> None:
    """Asked one by one, with their defaults."""
    names = ["left"] if modalities == 1 else ["left", "right", "middle"]
    raw: dict[str, Any] = {
        "extract": f"extract.modalities={{{', '.join(f'{m}: {{kind: vector}}' for m in names)}}}",
        "model": f"model.encoders={{{', '.join(f'{m}: {{name: mlp}}' for m in names)}}}",
    }
    asked = "greedy" if modalities == 3 else "ogm_ge"

    def refusal(method: str) -> str:
        try:
            check_method(resolve(load_params(file, [*raw.values(), f"train.method={method}"])))
        except ModelError as error:
            return str(error)
        return ""

    told = refusal(asked)
    named = re.search(rf"; methods for {modalities}: (.*)$", told)
    assert named
    assert named[1].split(", ") == [name for name in METHODS.names() if not refusal(name)]
    assert {"joint", "multi_task"} <= set(named[1].split(", "))


@pytest.mark.parametrize("options", ["{heads: own}", "{heads: split}"])
def test_own_heads_work_on_any_fusion(options: str, file: Path) -> None:
    cell = resolve(load_params(file, ["train.method=multi_task", FILM, f"methods.multi_task={options}"]))
    if "own" in options:
        check_method(cell)
        return
    with pytest.raises(ModelError):
        check_method(cell)


def test_every_method_works_on_the_model_that_is_shipped() -> None:
    shipped = Path(__file__).resolve().parents[2] / "params.yaml"
    for name in METHODS.names():
        check_method(resolve(load_params(shipped, [f"train.method={name}"])))
