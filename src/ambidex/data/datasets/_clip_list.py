"""Data sets that are a list of clips from the web, and a folder that holds as many of them as somebody could get.

Clips vanish from the web. So a coverage report says which listed clips the folder lacks, and no class disappears
silently. The group is the source video.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from ambidex.base.errors import DataError
from ambidex.base.readers import Source, read_text
from ambidex.configuration.params import Section
from ambidex.data.datasets import Dataset, Listing
from ambidex.data.datasets._checks import class_order
from ambidex.data.datasets._coverage import FOUND, coverage_extra, coverage_notes, matched
from ambidex.data.datasets._kinetics import ClipFolder, Entry
from ambidex.data.datasets._names import clean
from ambidex.data.manifest import Row

_NAMED = 5
"""classes that a message names"""


class ClipListConfig(Section):
    """Which clips, which classes."""

    classes: list[str] | None = Field(None, min_length=2, description="class names in label order")
    classes_file: str | None = Field(None, description="text file with a class name per line")
    split: Literal["listed", "group"] = Field(
        "listed",
        description="listed: as the list says; group: made anew, source videos disjoint",
    )
    allow_missing_classes: bool = Field(
        False, description="drop listed classes of which no clip was found, instead of stopping"
    )

    @model_validator(mode="after")
    def _one_class_list(self) -> "ClipListConfig":
        if self.classes is not None and self.classes_file is not None:
            raise ValueError("give classes or classes_file, not both")
        return self


@dataclass(frozen=True)
class ClipList:
    """A list that was read: its file, its entries, and the class names where it has them in label order."""

    path: Path
    entries: list[Entry]
    classes: list[str] | None = None


class ClipListDataset(Dataset):
    """Reads a list of clips and the folder `source` that holds them, in any depth."""

    published_classes: ClassVar[int] = 0
    """classes of the published list; 0: there is no fixed number"""

    @abstractmethod
    def read_list(self, source: Path) -> ClipList:
        """The clips that the list names. Raises DataError naming file and line of a mistake."""

    def list_samples(self, source: Path | None, output: Path, seed: int) -> Listing:
        """The listed clips that are there. Raises DataError for a listed class of which there is none."""
        assert source is not None
        clips = self.read_list(source)
        entries = clips.entries
        classes = _chosen(self.config) or clips.classes or class_order([entry.label for entry in entries])
        selection = [entry for entry in entries if entry.label in set(classes)]
        folder = ClipFolder(source)
        files = [folder.find(entry) for entry in selection]
        pairs = list(zip(selection, files, strict=True))
        there = {entry.label for entry, file in pairs if file}
        missing = [name for name in classes if name not in there]
        coverage = [(entry.name, entry.label, FOUND if file else "missing") for entry, file in pairs]
        if missing and not (self.config.allow_missing_classes and there):
            why = matched(coverage, len(folder), folder.others(file for file in files if file))
            raise DataError(_loss(source, why, clips.path, missing, entries))
        notes = [*coverage_notes(coverage), *self._differences(classes)]
        if missing:
            notes.append(f"dropped, no clip found: {', '.join(missing)}")
        if len(selection) < len(entries):
            notes.append(f"{len(entries) - len(selection)} clips of other classes left out")
        return Listing(
            rows=[_row(entry, file, source, self.config.split) for entry, file in pairs if file],
            modalities=("audio", "visual"),
            root=source,
            classes=tuple(name for name in classes if name in there),
            notes=notes,
            extras=coverage_extra(coverage),
        )

    def _differences(self, classes: Sequence[str]) -> list[str]:
        """A note where a whole list has another number of classes than the published one."""
        chosen = self.config.classes is not None or self.config.classes_file is not None
        if chosen or self.published_classes in (0, len(classes)):
            return []
        return [f"the list has {len(classes)} classes, the published one {self.published_classes}"]


def _chosen(config: Any) -> list[str] | None:
    """The class names that the options give. Raises DataError for a file without two names, or with one twice."""
    if config.classes_file is None:
        return None if config.classes is None else list(map(clean, config.classes))
    path = Path(config.classes_file)
    lines = read_text(path, Source(str(path))).splitlines()
    names = [name for line in lines if (name := clean(line))]
    if len(set(names)) < len(names) or len(names) < 2:
        raise DataError(f"{path}: expected at least two class names, one per line, each once")
    return names


def _row(entry: Entry, file: Path, source: Path, split: str) -> Row:
    path = str(file.relative_to(source))
    return Row(
        sample_id=entry.name,
        label=entry.label,
        split=entry.split if split == "listed" else "",
        group=entry.video,
        paths={"audio": path, "visual": path},
        origin=entry.origin,
    )


def _loss(source: Path, why: str, path: Path, missing: Sequence[str], entries: Sequence[Entry]) -> str:
    """Why classes are empty: not in the list under that name, or none of their clips in the folder."""
    labels = {entry.label for entry in entries}
    unlisted = [name for name in missing if name not in labels]
    if unlisted:
        examples = ", ".join(class_order(labels)[:5])
        return f"{path}: no clip has the label {_some(unlisted)}; its labels are like: {examples}"
    return (
        f"{source}: {why}; none for {_some(missing)}; names like <id>_<start>.mp4 are looked for; "
        "drop such classes with --set prepare.options.allow_missing_classes=true"
    )


def _some(names: Sequence[str]) -> str:
    """The first few of `names`, and how many more."""
    more = f" and {len(names) - _NAMED} more classes" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
