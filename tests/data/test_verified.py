"""Files are compared with their checksums once, and again after whatever may have changed them."""

import hashlib
import os
from pathlib import Path

import pytest

from ambidex.data.store import verified
from ambidex.data.store.verified import verified_once


class Files:
    """Two files, their checksums, and how often they were compared."""

    def __init__(self, folder: Path) -> None:
        self.paths = [folder / "a", folder / "b"]
        folder.mkdir()
        for path in self.paths:
            path.write_bytes(b"content of " + path.name.encode())
        self.sums = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in self.paths}
        self.compared = 0

    def _compare(self) -> None:
        self.compared += 1
        for path, expected in self.sums.items():
            if hashlib.sha256(path.read_bytes()).hexdigest() != expected:
                raise ValueError(path.name)

    def check(self, again: bool = False) -> int:
        """How often the files were compared for this check."""
        before = self.compared
        verified_once(self.sums, self._compare, again)
        return self.compared - before


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    """Files that count as old enough, and a cache folder of the test's own."""
    monkeypatch.setenv("AMBIDEX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(verified, "SETTLED", -1.0)
    return Files(tmp_path / "store")


def test_the_second_time_nothing_is_read_unless_it_is_asked_for(files: Files) -> None:
    assert [files.check(), files.check(), files.check(again=True), files.check()] == [1, 0, 1, 0]


def test_a_changed_byte_is_noticed_also_where_size_and_time_are_set_back(files: Files) -> None:
    files.check()
    path, status = files.paths[1], files.paths[1].stat()
    path.write_bytes(b"content of c")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    with pytest.raises(ValueError, match="b"):
        files.check()
    with pytest.raises(ValueError, match="b"):  # what failed is not remembered
        files.check()


def test_a_new_file_under_the_same_name_is_compared(files: Files) -> None:
    files.check()
    copy = files.paths[0].with_name("copy")
    copy.write_bytes(files.paths[0].read_bytes())
    copy.replace(files.paths[0])
    assert files.check() == 1


def test_other_checksums_are_compared(files: Files) -> None:
    files.check()
    files.sums[files.paths[0]] = "0" * 64
    with pytest.raises(ValueError, match="a"):
        files.check()


def test_what_was_changed_a_moment_ago_is_not_remembered(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second change within the grain of the clock would show nowhere."""
    monkeypatch.setattr(verified, "SETTLED", 2.0)
    assert [files.check(), files.check()] == [1, 1]


def test_what_changes_while_it_is_compared_is_not_remembered(files: Files) -> None:
    def compare() -> None:
        files.paths[0].write_bytes(b"content of z")

    verified_once(files.sums, compare)
    with pytest.raises(ValueError, match="a"):
        files.check()


@pytest.mark.parametrize("place", ["file", "a" * 300, "own/../link/x"])
def test_without_a_place_to_remember_files_are_compared_every_time(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "own").mkdir()
    (tmp_path / "link").symlink_to("link")
    monkeypatch.setenv("AMBIDEX_CACHE", str(tmp_path / place))
    assert [files.check(), files.check()] == [1, 1]


def test_nothing_is_written_beside_the_files(files: Files) -> None:
    files.check()
    assert sorted(path.name for path in files.paths[0].parent.iterdir()) == ["a", "b"]
