"""UCF101 (Soomro et al. 2012): 13,320 clips of 101 actions, as pictures and as optical flow.

Reads the clips as downloaded, UCF-101/CLASS/v_CLASS_g08_c01.avi, in any depth, and ucfTrainTestlist/ with classInd.txt,
trainlist01.txt, testlist01.txt and two more pairs: the three official splits, disjoint in the groups g01 to g25 of each
class (clips of one group come from one video). Flow is read from tvl1_flow/u/CLIP/ and tvl1_flow/v/CLIP/, the
folders of pictures that many share, or computed from the clip by the kind `flow`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import Field

from ambidex.base.errors import DataError, one_line
from ambidex.base.readers import Source, read_text
from ambidex.base.registry import nearest
from ambidex.configuration.params import Section
from ambidex.data.datasets import Dataset, Listing
from ambidex.data.datasets._coverage import FOUND, coverage_extra, coverage_notes, matched
from ambidex.data.manifest import Row

LISTS = "ucfTrainTestlist"
SIZES = {1: (9_537, 3_783), 2: (9_586, 3_734), 3: (9_624, 3_696)}
"""clips of the official train and test lists, by split"""
_CLIP = re.compile(r"^v_(?P<action>[A-Za-z0-9]+)_(?P<group>g\d{2})_c\d{2}$")
_ENDINGS = (".avi", ".mp4", ".mkv", ".mov")
_PICTURES = (".jpg", ".jpeg", ".png")


class Ucf101(Dataset):
    """Reads clips, lists and, where asked for, flow folders under `source`."""

    class Config(Section):
        """Which split, and where flow comes from."""

        fold: Literal[1, 2, 3] = Field(1, description="which of the three official splits")
        flow: Literal["none", "folders", "clips"] = Field(
            "folders",
            description="folders: pictures in flow_folder/u and /v; clips: computed from the clip; none: no flow",
        )
        flow_folder: str = Field("tvl1_flow", description="folder of u and v, under the source")
        lists: str | None = Field(
            None, description=f"folder of the official lists; missing: {LISTS} in the source"
        )

    def list_samples(self, source: Path | None, output: Path, seed: int) -> Listing:
        """The listed clips that are there. Raises DataError naming file and line of a mistake."""
        assert source is not None
        lists = Path(self.config.lists) if self.config.lists else source / LISTS
        classes = _classes(lists / "classInd.txt")
        listed = {
            split: _read(lists / f"{split}list{self.config.fold:02d}.txt", classes)
            for split in ("train", "test")
        }
        _check_once(listed)
        clips = _clips(source)
        rows, coverage = [], []
        for split, lines in listed.items():
            for origin, label, name in lines:
                paths, status = self._paths(source, clips, name)
                coverage.append((name, label, status))
                rows += [_row(split, origin, label, name, paths)] if status == FOUND else []
        if not rows:
            listed_names = {name for name, _, _ in coverage}
            others = sorted(path.stem for key, path in clips.items() if path.stem not in listed_names)
            raise DataError(
                f"{source}: {matched(coverage, len(clips), others)}; named like v_Archery_g01_c01.avi"
            )
        modalities = ("visual",) if self.config.flow == "none" else ("visual", "flow")
        seen = [replace(row, paths={"visual": row.paths["visual"]}) for row in rows]
        return Listing(
            rows=rows,
            modalities=modalities,
            root=source,
            classes=tuple(name for name in classes if any(row.label == name for row in rows)),
            protocol=f"official split {self.config.fold}, groups disjoint",
            notes=[*coverage_notes(coverage), *_sizes(self.config.fold, listed)],
            original=Listing(
                seen, ("visual",), root=source
            ),  # pictures of no movement are alike, clips are not
            extras=coverage_extra(coverage),
        )

    def _paths(self, source: Path, clips: Mapping[str, Path], name: str) -> tuple[dict[str, str], str]:
        """The cells of a clip by modality, and what is missing of it."""
        clip = clips.get(name.lower())
        if clip is None:
            return {}, "no clip"
        paths = {"visual": str(clip.relative_to(source))}
        if self.config.flow == "clips":
            paths["flow"] = paths["visual"]
        if self.config.flow == "folders":
            u, v = (source / self.config.flow_folder / way / name for way in "uv")
            pictures = _pictures(u)
            if not pictures or [path.name for path in pictures] != [path.name for path in _pictures(v)]:
                return {}, "no flow" if not pictures else "u and v differ"
            paths["flow"] = str(pictures[len(pictures) // 2].relative_to(source))
        return paths, FOUND


def _classes(path: Path) -> list[str]:
    """Class names of `1 ApplyEyeMakeup`, in the order of their numbers."""
    numbers: dict[int, str] = {}
    for origin, words in _lines(path):
        if len(words) != 2 or not words[0].isdecimal() or int(words[0]) in numbers:
            raise DataError(f"{origin}: expected a new number and a class, '1 ApplyEyeMakeup'")
        numbers[int(words[0])] = words[1]
    return [numbers[number] for number in sorted(numbers)]


def _read(path: Path, classes: Sequence[str]) -> list[tuple[str, str, str]]:
    """Where it stands, class and clip of every line `Archery/v_Archery_g08_c01.avi 3`."""
    rows = []
    for origin, words in _lines(path):
        label, _, file = words[0].partition("/")
        if label not in classes:
            raise DataError(
                f"{origin}: class '{one_line(label, 60)}' is not in classInd.txt; {_near(label, classes)}"
            )
        name = file.rpartition(".")[0]
        if _CLIP.match(name) is None:
            raise DataError(f"{origin}: '{one_line(words[0], 80)}' is not like Archery/v_Archery_g08_c01.avi")
        rows.append((origin, label, name))
    return rows


def _near(label: str, classes: Sequence[str]) -> str:
    return one_line(nearest(label, list(classes)), 200)


def _lines(path: Path) -> list[tuple[str, list[str]]]:
    """Where it stands, and the words of every line that has some. Raises DataError where there is none."""
    text = read_text(path, Source(str(path)))
    lines = [
        (f"{path}, line {k}", line.split()) for k, line in enumerate(text.splitlines(), 1) if line.strip()
    ]
    if not lines:
        raise DataError(f"{path}: is empty, expected a line for each clip or class")
    return lines


def _check_once(listed: Mapping[str, Sequence[tuple[str, str, str]]]) -> None:
    """Raise DataError for a clip that the lists name twice."""
    seen: dict[str, str] = {}
    for origin, _, name in (line for lines in listed.values() for line in lines):
        if name in seen:
            raise DataError(f"{origin}: clip '{name}' stands there twice (first in {seen[name]})")
        seen[name] = origin


def _clips(source: Path) -> dict[str, Path]:
    """Name in small letters -> file: the set spells HandStandPushups in two ways."""
    files = sorted(path for path in source.rglob("v_*") if path.suffix.lower() in _ENDINGS)
    return {path.stem.lower(): path for path in reversed(files)}


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _PICTURES)


def _row(split: str, origin: str, label: str, name: str, paths: dict[str, str]) -> Row:
    match = _CLIP.match(name)
    assert match is not None
    return Row(
        sample_id=name,
        label=label,
        split=split,
        group=f"{match['action']}_{match['group']}",
        paths=paths,
        origin=origin,
    )


def _sizes(fold: int, listed: Mapping[str, Sequence[object]]) -> list[str]:
    """A note for each list that has another number of clips than the official one: it may be cut short."""
    return [
        f"{split}list{fold:02d}.txt names {len(listed[split]):,} clips, the official one {size:,}"
        for split, size in zip(("train", "test"), SIZES[fold], strict=True)
        if len(listed[split]) != size
    ]
