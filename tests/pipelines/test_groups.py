"""Several cells in one task: real stages, what fails is named, what is finished is not made again."""

import shutil
from pathlib import Path

import pytest
import yaml
from components import _many, _notes, _stages
from components._groups import Cell, Classifier, cells_of, classifiers_of, grouped
from components._show import show_reports
from components.final_status.page import show_status

from ambidex.base.errors import LostRankError, ParamsError, PreemptedError
from ambidex.base.files import sha256
from ambidex.base.layout import Layout
from ambidex.base.readers import read_json
from helpers.runs import extracted, pretrained, raw_params, small_params

GROUP = "joint/pretrained/0 wild/pretrained/0 multi_task/pretrained/0"
GOOD = ["joint-pretrained-0", "multi_task-pretrained-0"]
WILD = "wild-pretrained-0"


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    found = extracted(tmp_path_factory.mktemp("run"))
    pretrained(found, small_params())
    return found


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Two methods, and a third whose loss is no number in its first epoch."""
    wild = {"use": "joint", "train": {"learning_rate": 1e30, "optimizer": "sgd"}}
    raw = raw_params(
        train={"epochs": 1, "regime": "pretrained"}, methods={"joint": {}, "multi_task": {}, "wild": wild},
        evaluate={"allocators": ["uniform"], "allocator": "uniform", "diagnostics": ["performance"]},
    )  # fmt: skip
    return [yaml.safe_dump({"extract": raw.pop("extract")}), yaml.safe_dump(raw)]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(_notes.WORK, str(tmp_path / "work"))
    monkeypatch.setenv(_notes.RUN, "run-1")
    return tmp_path / "work/run-1"


def train(
    texts: list[str], layout: Layout, output: Path, group: str = GROUP, resume: str = ""
) -> dict[str, object]:
    encoders = str(layout.root / "encoders")
    return dict(_stages.train_group(texts, str(layout.features), encoders, group, resume, str(output)))


def test_a_cell_that_fails_is_named_and_the_others_go_on(
    texts: list[str], layout: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a volume."""
    models, reports = tmp_path / "models", tmp_path / "reports"
    assert list(train(texts, layout, models)) == GOOD
    assert sorted(path.name for path in models.iterdir() if path.is_dir()) == GOOD
    assert "loss" in _many.failed_in(str(models))[WILD]
    inputs = {
        "features": str(layout.features),
        "encoders": str(layout.root / "encoders"),
        "model": str(models),
    }
    found = _stages.evaluate_group(texts, inputs, "cpu", GROUP, "", str(reports))
    assert list(found) == GOOD
    assert _many.failed_in(str(reports)) == _many.failed_in(str(models))
    assert _stages.reports_in([str(reports)]) == [str(reports / cell) for cell in GOOD]
    show_reports(
        _stages.reports_in([str(reports)]),
        _many.failed_in(str(reports)),
        *map(str, (tmp_path / "p", tmp_path / "f")),
    )
    page, finding = (tmp_path / "p").read_text(), (tmp_path / "f").read_text()
    for cell in (*GOOD, WILD):
        assert cell in page
        assert f"## {cell}\n" in finding
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        _stages.name_failures([str(reports)])
    assert ended.value.code == 3
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f"ambidex: {WILD} failed: loss ")
    assert lines[1] == "ambidex: 1 cells of the study failed; the comparison is of the others"
    _stages.name_failures([str(layout.root)])  # nothing failed there


def test_a_task_none_of_whose_cells_succeeds_has_failed(
    texts: list[str], layout: Layout, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as ended:
        train(texts, layout, tmp_path / "models", "wild/pretrained/0")
    assert ended.value.code == 3  # as the command line has it


def test_finished_cells_are_taken_from_the_volume(
    texts: list[str], layout: Layout, tmp_path: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that died in its second cell: the next attempt, or a run that resumes this one, trains what is missing."""
    train(texts, layout, tmp_path / "first", "joint/pretrained/0")
    shutil.rmtree(tmp_path / "first")  # the pod's own disk
    trained: list[str] = []
    real = _many.run_stage

    def counted(stage, params, inputs, outputs):
        trained.append(params.train.method)
        return real(stage, params, inputs, outputs)

    monkeypatch.setattr(_many, "run_stage", counted)
    metrics = train(texts, layout, tmp_path / "second")
    assert trained == ["wild", "multi_task"]
    assert list(metrics) == GOOD
    kept = work / "finished/train" / GOOD[0]
    assert metrics[GOOD[0]] == read_json(kept / "metrics.json")
    assert sha256(tmp_path / "second" / GOOD[0] / "model.safetensors") == sha256(kept / "model.safetensors")
    monkeypatch.setenv(_notes.RUN, "run-2")  # another run, told to go on from the first
    train(texts, layout, tmp_path / "third", resume="run-1")
    assert trained == ["wild", "multi_task", "wild"]
    changed = [
        texts[0],
        yaml.safe_dump(yaml.safe_load(texts[1]) | {"train": {"epochs": 2, "regime": "pretrained"}}),
    ]
    train(changed, layout, tmp_path / "fourth", "joint/pretrained/0")
    assert trained == ["wild", "multi_task", "wild", "joint"]  # other parameters: nothing that fits is there


@pytest.mark.parametrize(
    ("error", "noted"),
    [
        (RuntimeError("CUDA error: out of memory"), "RuntimeError: CUDA error: out of memory"),
        (LostRankError("process 1 of 2 ended with SIGKILL"), "process 1 of 2 ended with SIGKILL"),
    ],
)
def test_after_an_unforeseen_error_the_others_go_on_and_the_next_attempt_makes_what_is_missing(
    texts: list[str], layout: Layout, tmp_path: Path, work: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], error: Exception, noted: str,
) -> None:  # fmt: skip
    real, broken = _many.run_stage, ["joint"]

    def breaks(stage, params, inputs, outputs):
        if params.train.method in broken:
            raise error
        return real(stage, params, inputs, outputs)

    monkeypatch.setattr(_many, "run_stage", breaks)
    with pytest.raises(SystemExit) as ended:
        train(texts, layout, tmp_path / "first", "joint/pretrained/0 multi_task/pretrained/0")
    assert ended.value.code == 1
    assert _notes.failures() == {"train-joint-pretrained-0": noted}
    assert "joint-pretrained-0 ended by an error" in capsys.readouterr().err
    broken.clear()
    broken.append("multi_task")  # it is finished, and not made again
    assert (
        sorted(train(texts, layout, tmp_path / "next", "joint/pretrained/0 multi_task/pretrained/0")) == GOOD
    )
    assert _notes.failures() == {}


def test_a_task_that_is_stopped_ends_with_75_at_once(
    texts: list[str], layout: Layout, tmp_path: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def stop(stage, params, inputs, outputs):
        seen.append(params.train.method)
        raise PreemptedError("stopped by SIGTERM")

    monkeypatch.setattr(_many, "run_stage", stop)
    with pytest.raises(SystemExit) as ended:
        train(texts, layout, tmp_path / "models")
    assert (ended.value.code, seen, _notes.failures()) == (75, ["joint"], {})


def test_classifiers_of_a_task_stand_under_their_seeds(
    texts: list[str], layout: Layout, tmp_path: Path
) -> None:
    found = _stages.pretrain_group(texts, str(layout.features), "left right/3", "", str(tmp_path / "out"))
    assert list(found) == ["0/left", "3/right"]
    assert sha256(tmp_path / "out/0/left/model.safetensors") == sha256(
        layout.encoder("left", 0) / "model.safetensors"
    )
    with pytest.raises(SystemExit) as ended:
        _stages.pretrain_group(texts, str(layout.features), "left middle", "", str(tmp_path / "other"))
    assert ended.value.code == 2


def test_the_volume_is_cleared_when_the_run_has_succeeded(work: Path, tmp_path: Path) -> None:
    for state, left in (("FAILED", True), ("SUCCEEDED", False)):
        (work / "finished/train").mkdir(parents=True, exist_ok=True)
        show_status(state, "everything", "", "run-1", str(tmp_path / "page"))
        assert (work / "finished").exists() == left


@pytest.mark.parametrize("run", ["../other", "a/b", "/etc", ".", ".hidden", "a b"])
def test_an_earlier_run_is_named_by_its_id(work: Path, run: str) -> None:
    with pytest.raises(SystemExit, match="resume: got"):
        _notes.go_on_from(run)
    assert _notes.shared_folder() == work


def test_groups_as_text() -> None:
    assert cells_of(" joint/scratch/0  a.b-c_1/frozen/12 ") == [
        Cell("joint", "scratch", "0"),
        Cell("a.b-c_1", "frozen", "12"),
    ]
    assert classifiers_of("audio visual/3") == [Classifier("audio"), Classifier("visual", "3")]
    for wrong in (
        "",
        " ",
        None,
        3,
        "a",
        "a/b",
        "a/b/c",
        "a/b/0/1",
        "a/b/0\x00",
        "a b/0",
        "ä/b/0",
        "a/b/" + "1" * 19,
    ):
        with pytest.raises(ParamsError, match=r"expected text such as|stands twice"):
            cells_of(wrong)


@pytest.mark.parametrize(("count", "most"), [(1, 1), (1, 5), (5, 5), (6, 5), (2000, 67), (7, 1)])
def test_groups_are_even_and_whole(count: int, most: int) -> None:
    items = [f"m/{number}" for number in range(count)]
    groups = [group.split() for group in grouped(items, most)]
    assert sorted(item for group in groups for item in group) == sorted(items)
    sizes = {len(group) for group in groups}
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1
    assert len(groups) == -(-count // most)
