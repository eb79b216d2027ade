"""The new output takes the place of the old one at once; what a kill leaves is mended by the next run of the output."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from ambidex.base.errors import BusyError
from ambidex.base.files import below, write_bytes, write_json
from ambidex.base.outputs import MARK, claimed, delivery, finish, fresh, swap
from ambidex.base.outputs.swap import exchange
from helpers.outputs import snapshot

OLD, NEW = (
    f'{{\n  "ambidex": "0",\n  "made": "{made}",\n  "stage": "train"\n}}\n' for made in ("old", "new")
)


class Killed(BaseException):
    """Stands for SIGKILL: no handler of the product may act on it after it is raised (see `steps`)."""


def output(folder: Path, made: str, *files: str) -> Path:
    folder.mkdir(parents=True)
    write_json(folder / "card.json", {"ambidex": "0", "stage": "train", "made": made})
    for name in files:
        (folder / name).write_text(made)
    return folder


def deliver(tmp_path: Path) -> None:
    with claimed("train", {}, {"model": tmp_path / "out"}):
        deliver_into(tmp_path / "out")


def deliver_into(place: Path) -> None:
    growing = place.with_name("out.partial")
    fresh(growing)
    write_json(growing / "card.json", {"ambidex": "0", "stage": "train", "made": "new"})
    (growing / "checkpoint.pt").write_text("of no use any more")
    (growing / "new.txt").write_text("new")
    (growing / "history.csv.tmp-4711").write_text("of a killed run")
    finish(growing, place, leave=("checkpoint.pt", "never there"))


@pytest.fixture(params=[True, False], ids=["exchange", "two renames"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether kernel and file system can exchange two folders."""
    if not request.param:
        monkeypatch.setattr(delivery, "exchange", lambda one, other: False)
    return bool(request.param)


def test_a_delivered_folder_has_its_own_files_and_no_others(tmp_path: Path, way: bool) -> None:
    output(tmp_path / "out", "old", "old.txt")
    deliver(tmp_path)
    assert snapshot(tmp_path) == {"out": "folder", "out/card.json": NEW, "out/new.txt": "new"}


def _kill_at(monkeypatch: pytest.MonkeyPatch, number: int) -> list[int]:
    """Every file operation counts; the `number`-th and all later ones raise, so that nothing is done after it."""
    count = [0]
    names = ("mkdir", "rename", "replace", "unlink", "rmdir")
    for name in names:
        real = getattr(os, name)

        def counted(*given: object, _real: object = real, **more: object) -> object:
            count[0] += 1
            if count[0] >= number:
                raise Killed
            return _real(*given, **more)  # type: ignore[operator]

        monkeypatch.setattr(os, name, counted)
    real_exchange = delivery.exchange

    def exchanged(one: Path, other: Path) -> bool:
        count[0] += 1
        if count[0] >= number:
            raise Killed
        return real_exchange(one, other)

    monkeypatch.setattr(delivery, "exchange", exchanged)
    return count


def test_killed_at_any_file_operation_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: bool
) -> None:
    """After each kill the old or the new output stands whole, at its place or (two renames) where recovery finds it."""
    number, done = 0, False
    while not done:
        number += 1
        place = tmp_path / str(number)
        output(place / "out", "old", "old.txt")
        with monkeypatch.context() as patched:
            _kill_at(patched, number)
            try:
                deliver(place)
                done = True
            except Killed:
                pass
        if way:
            assert (place / "out/card.json").read_text() in (OLD, NEW)
        with claimed("train", {}, {"model": place / "out"}):  # the next run's start
            whole = {name: text for name, text in snapshot(place).items() if name.startswith("out/")}
            assert whole in (
                {"out/card.json": OLD, "out/old.txt": "old"},
                {"out/card.json": NEW, "out/new.txt": "new"},
            ), number
        deliver(place)
        assert snapshot(place) == {"out": "folder", "out/card.json": NEW, "out/new.txt": "new"}, number
    assert number > 15


def test_a_copy_from_another_file_system_that_was_cut_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = tmp_path / "volume/out-1234.partial"
    fresh(volume)
    output(volume / "inner", "new")
    write_json(volume / "card.json", {"ambidex": "0", "stage": "train", "made": "new"})
    (volume / "checkpoint.pt").write_text("the work of hours")
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if "volume" in str(self) and "volume" not in str(target):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)

    def cut(source: object, target: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfile", cut)
        patched.setattr(delivery, "discard", lambda folder: None)  # a killed process tidies nothing
        with pytest.raises(Killed):
            finish(volume, tmp_path / "out", leave=("checkpoint.pt",))
    assert (tmp_path / "out.partial" / MARK).exists()
    assert (volume / "checkpoint.pt").read_text() == "the work of hours"
    with claimed("train", {}, {"model": tmp_path / "out"}):
        finish(volume, tmp_path / "out", leave=("checkpoint.pt",))
    assert set(snapshot(tmp_path)) == {
        "out", "out/card.json", "out/inner", "out/inner/card.json", "volume"
    }  # fmt: skip


def test_an_input_that_changes_while_it_is_read_stops_the_output(tmp_path: Path) -> None:
    output(tmp_path / "out", "old")
    with claimed("train", {}, {"model": tmp_path / "out"}) as claim:
        claim.changed = lambda: "features"
        with pytest.raises(BusyError, match="features changed while it was read"):
            deliver_into(tmp_path / "out")
    shutil.rmtree(tmp_path / "out.partial")
    assert snapshot(tmp_path) == {"out": "folder", "out/card.json": OLD}


def test_folders_change_places_in_one_call(tmp_path: Path) -> None:
    for name in ("a", "b"):
        output(tmp_path / name, name)
    if not exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("this kernel or file system exchanges no folders")
    assert '"b"' in (tmp_path / "a/card.json").read_text()
    with pytest.raises(OSError, match="No such file"):
        exchange(tmp_path / "a", tmp_path / "missing")


def test_where_the_system_has_no_exchange_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swap, "_renameat2", lambda: None)
    assert not exchange(tmp_path, tmp_path)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "", ".", "a\0b", 7, None])
def test_a_path_from_a_file_stays_below_its_folder(tmp_path: Path, name: object) -> None:
    with pytest.raises(ValueError, match="is no path below"):
        below(tmp_path, name)


def test_a_name_and_a_path_of_folders_are_below(tmp_path: Path) -> None:
    assert below(tmp_path, "a/b.txt") == tmp_path / "a/b.txt"
    write_bytes(below(tmp_path, "..a"), b"")
