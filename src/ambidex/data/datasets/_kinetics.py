"""What Kinetics lists look like, and how people name the clips that they cut from them."""

import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ambidex.base.errors import DataError
from ambidex.data.datasets._names import clean
from ambidex.data.datasets._table import Line, Table

_ENDINGS = (".mp4", ".mkv", ".webm", ".avi", ".mov")
_CLIP = re.compile(r"^(?P<video>.+?)_(?P<start>\d{6})_\d{6}$|^(?P<video2>.+)_(?P<start2>\d+)$")
_SPLIT_COLUMNS = ("split", "field_split")
_SPLIT_NAMES = {"validate": "val", "validation": "val"}


@dataclass(frozen=True)
class Entry:
    """One line of a list: a piece of a video, and what is heard and seen in it."""

    video: str
    start: int
    """seconds"""
    label: str
    split: str
    origin: str

    @property
    def name(self) -> str:
        """Video id and start second, as in the usual file names."""
        return f"{self.video}_{self.start:06d}"


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


def _entry(line: Line, split_column: str | None, by_clip: bool) -> Entry:
    if by_clip:
        clip = line.get("clip")
        match = _CLIP.match(clip)
        if match is None:
            raise DataError(f"{line.origin}: clip '{clip}' is not a video id, '_' and a start second")
        video, start = match["video"] or match["video2"], match["start"] or match["start2"]
    else:
        video, start = line.get("youtube_id"), line.get("time_start")
    try:
        second = int(float(start))
    except ValueError:
        raise DataError(f"{line.origin}: column 'time_start': '{start}' is not a number of seconds") from None
    split = line.cells[split_column] if split_column else ""
    return Entry(video, second, clean(line.get("label")), _SPLIT_NAMES.get(split, split), line.origin)


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
        for stem in (entry.name, f"{entry.video}_{entry.start}"):
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
