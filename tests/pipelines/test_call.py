"""What a component does around its stage: parameters, places, one line for a mistake, a note for the exit task."""

from pathlib import Path

import pytest
import yaml
from components import _call, _notes
from components.final_status.page import show_status
from pipelines.texts import data_text, learning_text

from ambidex.base.errors import ParamsError, PreemptedError
from ambidex.base.files import write_json
from ambidex.base.records import CARD_FILE
from ambidex.resolve import load_params, parse_params
from helpers.small import small_params


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    params = load_params(small_params(tmp_path_factory.mktemp("params") / "params.yaml"))
    return [data_text(params), learning_text(params)]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(_notes.WORK, str(tmp_path / "work"))
    monkeypatch.setenv(_notes.RUN, "run-1")
    return tmp_path / "work/run-1"


def test_values_replace_parameters_and_empty_ones_do_not(texts: list[str]) -> None:
    values = {"train.method": "", "train.regime": "scratch", "train.seed": "7"}
    params = _call.read_params("train", texts, values)
    assert (params.train.method, params.train.regime, params.train.seed) == ("joint", "scratch", 7)


def test_the_classifiers_have_the_seed_of_training(texts: list[str]) -> None:
    changed = [texts[0], yaml.safe_dump(yaml.safe_load(texts[1]) | {"train": {"seed": 5}})]
    assert _call.read_params("pretrain", changed, {"pretrain.seed": ""}).pretrain.seed == 5
    assert _call.read_params("pretrain", changed, {"pretrain.seed": "3"}).pretrain.seed == 3


def test_a_data_step_needs_no_model(texts: list[str]) -> None:
    params = _call.read_params("extract", texts[:1], {"extract.part": "1/3"})
    assert params.extract.part is not None
    assert (params.extract.part.index, params.extract.part.of) == (1, 3)
    assert (
        params.extract.modalities
        == parse_params(yaml.safe_load(texts[0]) | yaml.safe_load(texts[1])).extract.modalities
    )


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("extract: {modalities: {}, shard: 1}", "params: extract.shard: unknown key"),
        ("prepare: [", "params"),
    ],
)
def test_a_mistake_in_an_argument_is_one_line(broken: str, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        _call.read_params("prepare", [broken], {})


def test_unfinished_training_stands_on_the_volume(texts: list[str], work: Path) -> None:
    assert _call.read_params("train", texts, {}).runtime.checkpoints == str(work)


def test_a_mistake_ends_the_process_with_one_line(
    texts: list[str], work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"features": str(tmp_path / "nowhere"), "encoders": ""}
    with pytest.raises(SystemExit) as ended:
        _call.call("train", texts, places, {"model": str(tmp_path / "model")}, {"train.seed": "4"})
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("ambidex: ")
    assert told.count("\n") == 1
    assert "nowhere" in told
    assert _notes.failures() == {"train-4": told.removeprefix("ambidex: ").strip()}
    assert not (tmp_path / "model").exists()


def test_a_task_that_succeeds_in_the_end_takes_its_note_back(
    texts: list[str], work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _notes.note_failure("train", "went\nwrong")
    assert _notes.failures() == {"train": "went wrong"}
    monkeypatch.setattr(_call, "run_stage", lambda *_: {})
    _call.call("train", texts, {}, {})
    assert _notes.failures() == {}


def test_a_task_that_was_stopped_has_not_failed(
    texts: list[str], work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with the code that asks for another try."""

    def stop(*_: object) -> None:
        raise PreemptedError("stopped by SIGTERM")

    monkeypatch.setattr(_call, "run_stage", stop)
    with pytest.raises(SystemExit) as ended:
        _call.call("train", texts, {}, {})
    assert ended.value.code == 75
    assert _notes.failures() == {}


def test_without_a_volume_nothing_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(_notes.WORK, raising=False)
    _notes.note_failure("train", "went wrong")
    assert _notes.failures() == {}


def test_the_last_page_names_what_failed(work: Path, tmp_path: Path) -> None:
    _notes.note_failure("train-joint-scratch-0", "loss is not finite")
    page = tmp_path / "page"
    text = show_status("FAILED", "everything", "Task everything failed.", "run-1", str(page))
    assert text.splitlines()[:3] == [
        "Run run-1: failed.",
        "- train-joint-scratch-0 failed: loss is not finite",
        "- everything: Task everything failed.",
    ]
    assert page.read_text().strip() == text
    assert show_status("SUCCEEDED", "everything", "", "run-1", str(page)) == "Run run-1: succeeded."


def output(folder: Path, **card: object) -> str:
    folder.mkdir(parents=True)
    write_json(folder / CARD_FILE, card)
    (folder / "weights").write_text(folder.name)
    return str(folder)


def test_each_seed_gets_its_own_classifiers(
    texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two tasks, each with classifiers of both seeds."""
    for task, names in {"a": ["0/audio", "1/visual"], "b": ["0/visual", "1/audio"]}.items():
        for name in names:
            output(tmp_path / task / name, stage="pretrain")
        (tmp_path / task / "failed.json").write_text("{}")
    _call.gather_outputs([str(tmp_path / "a"), str(tmp_path / "b")], str(tmp_path / "all"))
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["0", "1"]
    for name in ("0/audio", "1/visual", "0/visual", "1/audio"):
        (tmp_path / "all" / name / "weights").write_text("".join(reversed(name.split("/"))))
    places = {}
    monkeypatch.setattr(
        _call, "run_stage", lambda stage, params, inputs, outputs: places.update(inputs) or {}
    )
    for seed in ("0", "1"):
        _call.call("train", texts, {"encoders": str(tmp_path / "all")}, {}, {"train.seed": seed})
        for modality in ("audio", "visual"):
            assert (places["encoders"] / modality / "weights").read_text() == f"{modality}{seed}"
    _call.call("compare", texts, {"encoders": str(tmp_path / "all")}, {})
    assert places["encoders"] == tmp_path / "all"


@pytest.mark.parametrize("method", ["../../out", "/out", "in/../../../out"])
def test_a_card_cannot_lead_out_of_the_folder(
    texts: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], method: str
) -> None:
    made = output(tmp_path / "made", stage="evaluate", method=method, regime="scratch", seed=0)
    with pytest.raises(SystemExit) as ended:
        _call.call("compare", texts, {"reports": [made]}, {"study": str(tmp_path / "study")})
    assert ended.value.code == 2
    assert "card.json: is damaged" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["card.json", "made", "weights"]


def test_a_stage_finds_several_outputs_in_one_folder(
    texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = [
        output(tmp_path / f"r{seed}", stage="evaluate", method="joint", regime="scratch", seed=seed)
        for seed in (3, 4)
    ]
    parts = [output(tmp_path / f"p{number}", stage="extract") for number in range(2)]
    found: dict[str, dict[str, str]] = {}

    def look(stage: str, params: object, inputs: dict[str, Path], outputs: object) -> dict[str, str]:
        found.update(
            {k: {d.name: (d / "weights").read_text() for d in p.iterdir()} for k, p in inputs.items()}
        )
        return {}

    monkeypatch.setattr(_call, "run_stage", look)
    _call.call("compare", texts, {"reports": reports, "parts": parts}, {})
    assert found["reports"] == {"joint-scratch-3": "r3", "joint-scratch-4": "r4"}
    assert found["parts"] == {"0": "p0", "1": "p1"}


def test_the_source_is_found_in_what_was_pulled(tmp_path: Path) -> None:
    """`dvc add data/my` pulls the content of data/my."""
    (tmp_path / "lists").mkdir()
    (tmp_path / "list.csv").touch()
    (tmp_path / "lists/other.csv").touch()
    assert _call.inside(str(tmp_path), "data/my/list.csv") == str(tmp_path / "list.csv")
    assert _call.inside(str(tmp_path), "data/my/lists/other.csv") == str(tmp_path / "lists/other.csv")
    assert _call.inside(str(tmp_path), "data/my") == str(tmp_path)
    assert _call.inside(str(tmp_path), "") == str(tmp_path)
    assert _call.inside("", "data/my") == ""
