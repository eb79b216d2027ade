"""What Kinetics lists look like, and how people name the clips that they cut from them."""

import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ambidex.base.errors import DataError
from ambidex.data.datasets._names import clean
from ambidex.data.datasets._table import Line, Table

_ENDINGS = (".mp4", ".mkv", ".webm", ".avi", ".mov", ".flv")
_CLIP = re.compile(r"^(?P<video>.+?)_(?P<start>\d{6})_\d{6}$|^(?P<video2>.+)_(?P<start2>\d+)$")
_BY_ID = re.compile(r"^(?P<video>.{11})_(?P<start>\d+)(_\d+)?$")
_ID = 11
"""characters of a YouTube id, which may hold '_' itself"""
_SPLIT_COLUMNS = ("split", "field_split")
_SPLIT_NAMES = {"validate": "val", "validation": "val"}


@dataclass(frozen=True)
class Entry:
    """One line of a list: a piece of a video, and what is heard and seen in it."""

    video: str
    start: int | None
    """seconds; None where the whole video is the clip"""
    label: str
    split: str
    origin: str

    @property
    def name(self) -> str:
        """Video id and start second, as in the usual file names."""
        return self.video if self.start is None else f"{self.video}_{self.start:06d}"


def read_entries(table: Table) -> list[Entry]:
    """Entries of a Kinetics annotation CSV (label, youtube_id, time_start, ...) or an id list (clip, label, ...).

    Raises DataError: columns missing, a start that is not a number, a clip without a start.
    """
    table.require(["label"])
    split = table.first_of(_SPLIT_COLUMNS)
    by_clip = "clip" in table.columns
    if not by_clip:
        table.require(["youtube_id", "time_start"])
    return [_entry(line, split, by_clip) for line in table.lines]


def place_of(clip: str) -> tuple[str, int | None]:
    """Video id and start second of a clip called `<id>_<start>` or `<id>_<start>_<end>`; else it is the whole video."""
    if match := _BY_ID.match(clip):
        return match["video"], int(match["start"])
    match = None if len(clip) == _ID else _CLIP.match(clip)
    if match is None:
        return clip, None
    return match["video"] or match["video2"], int(match["start"] or match["start2"])


def _entry(line: Line, split_column: str | None, by_clip: bool) -> Entry:
    if by_clip:
        clip = line.get("clip")
        video, second = place_of(clip)
        if second is None:
            raise DataError(f"{line.origin}: clip '{clip}' is not a video id, '_' and a start second")
    else:
        video, second = line.get("youtube_id"), _second(line)
    split = line.cells[split_column] if split_column else ""
    return Entry(video, second, clean(line.get("label")), _SPLIT_NAMES.get(split, split), line.origin)


def _second(line: Line) -> int:
    start = line.get("time_start")
    try:
        return int(float(start))
    except (ValueError, OverflowError):
        raise DataError(f"{line.origin}: column 'time_start': '{start}' is not a number of seconds") from None


class ClipFolder:
    """All clips under a folder, found by video id and start second."""

    def __init__(self, folder: Path) -> None:
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _ENDINGS)
        self._by_stem = {path.stem: path for path in reversed(files)}
        self._stems = sorted(self._by_stem)

    def __len__(self) -> int:
        return len(self._stems)

    def others(self, files: Iterable[Path]) -> list[str]:
        """The names of the folder's clips that are not among `files`, sorted."""
        return sorted(set(self._stems) - {file.stem for file in files})

    def find(self, entry: Entry) -> Path | None:
        """The file of `entry`: <id>_<start>*, the start with or without leading zeros, or <id> alone."""
        stems = () if entry.start is None else (entry.name, f"{entry.video}_{entry.start}")
        for stem in stems:
            if file := self._starting_with(stem):
                return file
        return self._by_stem.get(entry.video)

    def _starting_with(self, stem: str) -> Path | None:
        """The first file called `stem`, or `stem` and then something that is no further digit."""
        for candidate in self._stems[bisect_left(self._stems, stem) :]:
            if not candidate.startswith(stem):
                break
            if not candidate[len(stem) :][:1].isdigit():
                return self._by_stem[candidate]
        return None
