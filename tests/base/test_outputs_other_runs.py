"""Unfinished work of another run is kept aside and named; it comes back where it fits, and goes when a run is whole."""

import os
from pathlib import Path

import pytest

from ambidex.base.errors import OutputError
from ambidex.base.files import partial, write_json
from ambidex.base.outputs import (
    MARK,
    ORIGIN,
    Origin,
    Progress,
    aside,
    aside_hint,
    claimed,
    discard,
    finish,
    other_runs,
    settle,
)
from helpers.outputs import snapshot

HELD = "work.txt"
PROGRESS = Progress(lambda folder: (folder / HELD).exists(), lambda folder: (folder / HELD).read_text())


def run_of(name: str, **changes: object) -> Origin:
    given = {"train": {"epochs": 3, "name": name}, "augment": {}} | changes
    return Origin("train", given, {"features": "f1"}, "code1")


def begin(place: Path, origin: Origin, work: str = "") -> Path:
    """What a run does that is killed later: it settles, and where `work` is given gets as far as that."""
    with claimed("train", {}, {"model": place}):
        settle(partial(place), origin, PROGRESS)
        if work:
            (partial(place) / HELD).write_text(work)
            (partial(place) / "a.txt").write_text(work)
            (partial(place) / "z.txt").write_text(work)
    return partial(place)


def whole(place: Path, origin: Origin) -> None:
    with claimed("train", {}, {"model": place}):
        settle(partial(place), origin, PROGRESS)
        write_json(partial(place) / "card.json", {"ambidex": "0", "stage": "train"})
        finish(partial(place), place, leave=(HELD, "a.txt", "z.txt"))


def work_in(folder: Path) -> str | None:
    """The work in a folder, whole; None where there is none."""
    files = [folder / name for name in (HELD, "a.txt", "z.txt")]
    if not (folder / ORIGIN).exists() or not files[0].exists():
        return None
    (text,) = {file.read_text() if file.exists() else "cut" for file in files}
    return text


A, B, C = (run_of(name) for name in "abc")


@pytest.fixture(params=[True, False], ids=["exchange", "three renames"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether kernel and file system can exchange two folders."""
    if not request.param:
        monkeypatch.setattr(other_runs, "exchange", lambda one, other: False)


def test_the_same_run_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "out"
    begin(place, A, "2 epochs")
    assert work_in(begin(place, A)) == "2 epochs"
    assert not aside(partial(place)).exists()
    assert capsys.readouterr().err == ""


def test_work_of_another_run_goes_aside_and_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "out"
    begin(place, A, "2 epochs")
    growing = begin(place, B, "1 epoch")
    assert aside(growing) == tmp_path / "out.aside.partial"
    assert (work_in(growing), work_in(aside(growing))) == ("1 epoch", "2 epochs")
    assert capsys.readouterr().err == (
        f'train: keeps 2 epochs of another run (train.name was "a", is "b") in {aside(growing)} '
        "until this one is whole\n"
    )


def test_it_goes_when_the_new_run_is_whole_and_not_before(tmp_path: Path) -> None:
    place = tmp_path / "out"
    begin(place, A, "2 epochs")
    begin(place, B, "1 epoch")
    begin(place, B)
    assert work_in(aside(partial(place))) == "2 epochs"
    whole(place, B)
    assert snapshot(tmp_path).keys() == {"out", "out/card.json"}


def test_it_comes_back_where_it_fits_again(
    tmp_path: Path, way: None, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "out"
    begin(place, A, "2 epochs")
    begin(place, B, "1 epoch")
    capsys.readouterr()
    growing = begin(place, A)
    assert (work_in(growing), work_in(aside(growing))) == ("2 epochs", "1 epoch")
    assert capsys.readouterr().err == f"train: goes on from 2 epochs, kept aside in {aside(growing)}\n"
    whole(place, B)  # and back: whoever is whole first ends it for both
    assert snapshot(tmp_path).keys() == {"out", "out/card.json"}


def test_a_run_that_got_nowhere_takes_no_place(tmp_path: Path) -> None:
    place = tmp_path / "out"
    begin(place, A, "2 epochs")
    begin(place, B)
    growing = begin(place, C, "1 epoch")
    assert (work_in(growing), work_in(aside(growing))) == ("1 epoch", "2 epochs")
    begin(place, B)
    growing = begin(place, C)
    assert (work_in(growing), work_in(aside(growing))) == ("1 epoch", None)


def test_one_is_kept_for_an_output_and_no_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "out"
    begin(place, A, "2 epochs")
    begin(place, B, "1 epoch")
    capsys.readouterr()
    growing = begin(place, C, "half an epoch")
    assert work_in(aside(growing)) == "1 epoch"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.aside.partial", "out.partial"]
    assert capsys.readouterr().err.endswith(
        f"in {aside(growing)} until this one is whole, in place of 2 epochs\n"
    )


@pytest.mark.parametrize(
    ("before", "why"),
    [
        (run_of("a", train={"epochs": 4, "name": "a"}), "train.epochs was 4, is 3"),
        (Origin("train", A.parameters, {"features": "f0"}, "code1"), "the data changed"),
        (Origin("train", A.parameters, A.data, "code0"), "the code changed"),
        (
            Origin("train", {**A.parameters, "frozen": True}, {"features": "f0"}, "code0"),
            "frozen was true, is null; the data changed; the code changed",
        ),
        (
            run_of("z", train={"epochs": 1, "name": "z", "seed": 5, "rate": 0.1}),
            'train.epochs was 1, is 3; train.name was "z", is "a"; 2 more parameters changed',
        ),
        (Origin("crossfit", A.parameters, A.data, A.code), "another stage's"),
    ],
)
def test_why_it_does_not_fit(
    tmp_path: Path, before: Origin, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(tmp_path / "out", before, "2 epochs")
    begin(tmp_path / "out", A)
    assert f"2 epochs of another run ({why}) in " in capsys.readouterr().err


def test_work_that_says_nothing_of_itself_goes_aside_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As an older version of this program left it."""
    growing = partial(tmp_path / "out")
    growing.mkdir()
    (growing / MARK).touch()
    (growing / HELD).write_text("2 epochs")
    begin(tmp_path / "out", A)
    assert "(of which nothing says what it was made from)" in capsys.readouterr().err
    assert (aside(growing) / HELD).read_text() == "2 epochs"


def test_what_a_user_put_there_is_refused_and_stays(tmp_path: Path) -> None:
    begin(tmp_path / "out", A, "2 epochs")
    kept = aside(partial(tmp_path / "out"))
    kept.mkdir()
    (kept / "mine.txt").write_text("mine")
    before = snapshot(tmp_path)
    with pytest.raises(OutputError, match=r"out\.aside\.partial"):
        settle(partial(tmp_path / "out"), B, PROGRESS)
    assert snapshot(tmp_path) == before


def test_a_full_disk_is_told_what_can_go(tmp_path: Path) -> None:
    begin(tmp_path / "out", A, "2 epochs")
    assert aside_hint(tmp_path / "out") == ""
    begin(tmp_path / "out", B)
    kept = aside(partial(tmp_path / "out"))
    assert aside_hint(tmp_path / "out") == (
        f"; {kept} holds unfinished work of another run, delete it to make room"
    )


class Killed(BaseException):
    """Stands for SIGKILL."""


def _kill_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The `number`-th file operation and all later ones raise, so that nothing is done after it."""
    count = [0]

    def step() -> None:
        count[0] += 1
        if count[0] >= number:
            raise Killed

    for name in ("mkdir", "rename", "replace", "unlink", "rmdir"):

        def counted(*given: object, _real: object = getattr(os, name), **more: object) -> object:
            step()
            return _real(*given, **more)  # type: ignore[operator]

        monkeypatch.setattr(os, name, counted)
    real = other_runs.exchange

    def exchange(one: Path, other: Path) -> bool:
        step()
        return real(one, other)

    monkeypatch.setattr(other_runs, "exchange", exchange)


@pytest.mark.parametrize(
    ("runs", "last", "kept"),
    [
        ("A", "B", "A"),  # A goes aside
        ("AB", "A", "AB"),  # the two change places
        ("AB", "C", "B"),  # B takes the place of A
    ],
)
def test_killed_at_any_file_operation_what_is_kept_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: None, runs: str, last: str, kept: str
) -> None:
    """Each of `kept` can be gone on from afterwards, and what was cut is never taken for whole."""
    origins = {"A": A, "B": B, "C": C}
    number, done = 0, False
    while not done:
        number += 1
        for asked in kept:
            place = tmp_path / f"{number}{asked}" / "out"
            for name in runs:
                begin(place, origins[name], name)
            with monkeypatch.context() as patched:
                _kill_at(patched, number)
                try:
                    begin(place, origins[last])
                    done = True
                except Killed:
                    pass
            growing = begin(place, origins[asked])
            assert work_in(growing) == asked, number
            assert work_in(aside(growing)) in (None, *runs), number
            left = {path.name for path in place.parent.iterdir()}
            assert left <= {"out.partial", "out.aside.partial"}
            for folder in place.parent.iterdir():
                discard(folder)
    assert number > 3
