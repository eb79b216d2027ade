"""What an output may replace: nothing, an empty folder, an older output of the same stage; all else stays as it was."""

import os
import shutil
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ambidex.base.errors import OutputError, ParamsError
from ambidex.base.files import write_json
from ambidex.base.outputs import MARK, check_output, claimed, delivery, finish, whole_folder
from ambidex.cli import main
from ambidex.configuration.params import Params
from ambidex.resolve import load_params, parse_params
from helpers.outputs import snapshot

ROOT = Path(__file__).resolve().parents[2]
PARAMS = str(ROOT / "params.yaml")


def a_file(path: Path) -> None:
    path.write_text("a,b\n1,2\n")


def a_folder(path: Path) -> None:
    path.mkdir()
    (path / "mine.txt").write_text("mine")


def a_folder_with_an_empty_one(path: Path) -> None:
    (path / "inner").mkdir(parents=True)


def of_another_stage(path: Path) -> None:
    path.mkdir()
    write_json(path / "card.json", {"ambidex": "0", "stage": "evaluate"})


def a_foreign_card(path: Path) -> None:
    path.mkdir()
    write_json(path / "card.json", ["stage", "train"])


def a_foreign_card_with_a_stage(path: Path) -> None:
    path.mkdir()
    write_json(path / "card.json", {"stage": "train", "name": "of another tool"})


def a_damaged_card(path: Path) -> None:
    path.mkdir()
    (path / "card.json").write_text("[" * 100_000)


def a_card_that_never_ends(path: Path) -> None:
    path.mkdir()
    os.mkfifo(path / "card.json")


def a_link(path: Path) -> None:
    older = path.with_name("older")
    older.mkdir()
    write_json(older / "card.json", {"ambidex": "0", "stage": "train"})
    path.symlink_to("older")


def a_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def a_link_to_a_file(path: Path) -> None:
    path.with_name("note.txt").write_text("mine")
    path.symlink_to("note.txt")


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(path.parent)  # the name of a socket is short
        try:
            server.bind(path.name)
        finally:
            os.chdir(here)


def a_device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes devices")


def a_hidden_file_only(path: Path) -> None:
    path.mkdir()
    (path / ".keep").write_text("")


def a_saved_model(path: Path) -> None:
    path.mkdir()
    write_json(path / "card.json", {"ambidex": "0", "stage": "train", "decision": {}})


USERS: list[Callable[[Path], None]] = [
    a_file, a_folder, a_folder_with_an_empty_one, of_another_stage, a_foreign_card, a_foreign_card_with_a_stage,
    a_damaged_card, a_card_that_never_ends, a_link, a_dangling_link, a_link_to_a_file, os.mkfifo, a_socket, a_device,
    a_hidden_file_only, a_saved_model,
]  # fmt: skip


@pytest.mark.parametrize("make", USERS)
def test_what_is_the_users_stays(tmp_path: Path, make: Callable[[Path], None]) -> None:
    place, new = tmp_path / "out", tmp_path / "new"
    make(place)
    before = snapshot(tmp_path)
    with pytest.raises(OutputError, match="nothing was touched") as caught:
        check_output(place, "train")
    assert str(caught.value).startswith(f"{place}: ")
    with pytest.raises(OutputError), claimed("train", {}, {"model": place}):
        pytest.fail("the work began")
    with pytest.raises(OutputError), whole_folder(place):
        pytest.fail("the work began")
    new.mkdir()  # and if it came there while the stage worked
    write_json(new / "card.json", {"ambidex": "0", "stage": "train"})
    with pytest.raises(OutputError):
        finish(new, place)
    after = {name: found for name, found in snapshot(tmp_path).items() if not name.startswith("new")}
    assert after == before


@pytest.mark.parametrize("suffix", [".partial", ".old.partial", ".aside.partial", ".swap.partial"])
@pytest.mark.parametrize("make", [a_file, a_folder, a_link, a_dangling_link, os.mkfifo, of_another_stage])
def test_a_users_folder_that_looks_like_a_leftover_stays(
    tmp_path: Path, make: Callable[[Path], None], suffix: str
) -> None:
    make(tmp_path / f"out{suffix}")
    before = snapshot(tmp_path)
    with pytest.raises(OutputError, match="an unfinished out"), claimed("train", {}, {"m": tmp_path / "out"}):
        pytest.fail("the work began")
    assert snapshot(tmp_path) == before


def test_nothing_an_empty_folder_and_an_older_output_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "older").mkdir()
    write_json(tmp_path / "older/card.json", {"ambidex": "0", "stage": "train"})
    (tmp_path / "older/old.txt").write_text("old")
    (tmp_path / "disk").mkdir()
    (tmp_path / "runs").symlink_to("disk")  # a folder above may be a link
    for place in ("nothing", "empty", "older", "runs/nothing", "runs/deep/er"):
        with claimed("train", {}, {"model": tmp_path / place}), whole_folder(tmp_path / place) as folder:
            write_json(folder / "card.json", {"ambidex": "0", "stage": "train"})
        assert [path.name for path in (tmp_path / place).iterdir()] == ["card.json"], place
    assert (tmp_path / "runs").is_symlink()
    assert {path.name for path in tmp_path.iterdir()} == {"disk", "empty", "nothing", "older", "runs"}


def test_a_mount_point_is_refused_before_the_work() -> None:
    with pytest.raises(OutputError, match="is a mount point"):
        check_output(Path("/dev/shm"), "train")


@pytest.mark.parametrize("name", [".", "..", "", "a\0b", "x" * 300, "file/inner"])
def test_what_is_no_place_for_a_folder_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    place = Path(name) if name in (".", "..", "") else tmp_path / name
    with pytest.raises(OutputError) as caught, claimed("train", {}, {"model": place}):
        pytest.fail("the work began")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("inner", ["", "clips/a"])
def test_an_output_never_replaces_its_own_input(tmp_path: Path, inner: str) -> None:
    out = tmp_path / "manifest"
    (out / "clips/a").mkdir(parents=True)
    write_json(out / "card.json", {"ambidex": "0", "stage": "prepare"})
    (tmp_path / "link").symlink_to(out)
    for way in (out, tmp_path / "link"):
        with (
            pytest.raises(OutputError, match="stands in it"),
            claimed("prepare", {"source": way / inner}, {"m": out}),
        ):
            pytest.fail("the work began")


def test_what_came_there_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the last look and the rename nothing can come: the two change places, and are changed back."""
    with whole_folder(tmp_path / "new") as folder:
        write_json(folder / "card.json", {"ambidex": "0", "stage": "train"})
    a_folder(tmp_path / "out")
    monkeypatch.setattr(delivery, "check_output", lambda path, stage: None)  # it looked just before
    with pytest.raises(OutputError, match="and stays"):
        finish(tmp_path / "new", tmp_path / "out")
    shutil.rmtree(tmp_path / "out.partial")
    assert snapshot(tmp_path) == {"out": "folder", "out/mine.txt": "mine"}


def test_no_output_stands_inside_another(tmp_path: Path) -> None:
    """Making the outer one anew would delete the inner one."""
    for name, stage in (("manifest", "prepare"), ("manifest/clips/features", "extract"), ("r", "evaluate")):
        (tmp_path / name).mkdir(parents=True)
        write_json(tmp_path / name / "card.json", {"stage": stage, "ambidex": "0"})
    (tmp_path / "r/model").mkdir()
    write_json(tmp_path / "r/model/card.json", {"ambidex": "0", "stage": "evaluate", "decision": {}})
    before = snapshot(tmp_path)
    for stage, place, why in (
        ("prepare", "manifest", "holds another output, clips/features"),
        ("extract", "manifest/clips/features", "stands inside"),
        ("train", "manifest/deep/er/model", "stands inside"),
        ("train", "r/other", "stands inside"),
    ):
        with pytest.raises(OutputError, match=why), claimed(stage, {}, {"x": tmp_path / place}):
            pytest.fail("the work began")
    assert snapshot(tmp_path) == before
    with claimed("evaluate", {}, {"report": tmp_path / "r"}):  # its own saved model: evaluate keeps that
        pass


VERBS = {
    "prepare": "manifest", "extract": "features", "merge": "features", "pretrain": "encoders/0/audio",
    "train": "models/multi_task-pretrained-0", "crossfit": "crossfit/multi_task-pretrained-0",
    "evaluate": "reports/multi_task-pretrained-0", "compare": "study", "study": "models/joint-scratch-1",
}  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("out", [True, False])
def test_every_verb_keeps_the_users_folder(
    tmp_path: Path, verb: str, out: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """By --out, and where --runs names the folder of the user's data."""
    runs = tmp_path / "data"
    place = runs / VERBS[verb]
    place.parent.mkdir(parents=True)
    a_folder(place)
    for name in ("manifest", "parts", "features", "models/multi_task-pretrained-0", "reports"):
        (runs / name).mkdir(parents=True, exist_ok=True)  # inputs, so that nothing else is in the way
    before = snapshot(tmp_path)
    given = ["--modality", "audio"] if verb == "pretrain" else []
    given += ["--out", str(place)] if out and verb != "study" else []
    where = [] if out and verb != "study" else ["--runs", str(runs)]
    inputs = [f"--{name}={runs / name}" for name in ("features", "manifest", "parts", "reports") if out]
    reads = {"extract": 1, "merge": 2, "pretrain": 0, "train": 0, "crossfit": 0, "evaluate": 0, "compare": 3}
    given += [inputs[reads[verb]]] if out and verb in reads else []
    given += [f"--model={runs / 'models/multi_task-pretrained-0'}"] if out and verb == "evaluate" else []
    assert main([verb, "--params", PARAMS, *where, *given]) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith(f"ambidex: {place}: is a folder with files (such as mine.txt)")
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("verb", "old"),
    [("prepare", "manifest"), ("extract", "features"), ("merge", "features"), ("pretrain", "encoder"),
     ("train", "model"), ("crossfit", "crossfit"), ("evaluate", "report"), ("compare", "study")],
)  # fmt: skip
@pytest.mark.parametrize("value", [["my.csv"], []])
def test_the_old_name_of_an_output_flag_is_refused_in_one_line(
    verb: str, old: str, value: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main([verb, "--params", PARAMS, f"--{old}", *(value or (["x"] if old == "study" else []))])
    except SystemExit as end:
        code = end.code  # type: ignore[assignment]
    (line,) = capsys.readouterr().err.splitlines()
    assert code == 2
    assert f"--{old}" in line
    assert "--out FOLDER" in line
    if verb == "prepare":
        assert "--set prepare.dataset=manifest --set prepare.source=FILE.csv" in line


def test_show_reads_a_study_and_writes_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--show", "--out", "x"]) == 2
    assert "--study FOLDER" in capsys.readouterr().err


def test_the_unfinished_folder_of_a_killed_run_is_known_by_its_mark(tmp_path: Path) -> None:
    left = tmp_path / "out.partial"
    left.mkdir()
    (left / MARK).write_text("")
    (left / "half").write_text("half")
    with claimed("prepare", {}, {"m": tmp_path / "out"}), whole_folder(tmp_path / "out") as folder:
        assert [path.name for path in folder.iterdir()] == [MARK]
        write_json(folder / "card.json", {"ambidex": "0", "stage": "prepare"})
    assert snapshot(tmp_path).keys() == {"out", "out/card.json"}


LABELS = ["../../x", "a/b", "..", ".hidden", "-rf", "a b", "x;id", "$(id)", "a'b", "é", "a\n", "", "x" * 101]
NAMES = ["a", "joint_2", "lr-1e-3", "v1.2", "_x", "9", "x" * 100]


@pytest.fixture(scope="module")
def raw() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "params.yaml").read_text())


@pytest.mark.parametrize("label", [*LABELS, *NAMES])
def test_a_label_is_a_name(raw: dict[str, Any], label: str) -> None:
    """It becomes part of a path and a word of a shell command: in `methods`, in the study and of the cell."""
    places = {
        "methods": {"methods": {label: {"use": "joint"}}},
        "study.methods.0": {"study": {"methods": [label]}},
    }
    for key, section in {**places, "train.method": {"train": {"method": label}}}.items():
        if label in NAMES:
            Params.model_validate(raw | section)
            continue
        with pytest.raises(ParamsError) as caught:
            parse_params(raw | section, "params.yaml")
        assert str(caught.value).startswith(f"params.yaml: {key}")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "setting", ["train.seed=-1", "train.seed=1e400", f"train.seed={'9' * 60}", "extract.part=0/9999999"]
)
def test_numbers_that_become_paths_are_bounded(setting: str) -> None:
    with pytest.raises(ParamsError, match=setting.partition("=")[0]):
        load_params(Path(PARAMS), [setting])
