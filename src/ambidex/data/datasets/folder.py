"""Own data without a CSV: a folder for each class, in it the samples as folders or as files of one name.

laughing/take_1/audio.wav, laughing/take_1/face.jpg   a folder for each sample
laughing/take_1.wav, laughing/take_1.jpg              or files that differ in their ending alone

Above the classes there may be a folder for each split: train, val (valid, validation), test.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import Field, field_validator

from ambidex.base.errors import DataError
from ambidex.configuration.params import Section
from ambidex.configuration.values import ModalityName
from ambidex.data.datasets import Dataset, Listing
from ambidex.data.manifest import Row

_SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_PATTERNS: dict[str, list[str]] = {
    "audio": ["*.wav", "*.mp3", "*.flac", "*.ogg", "*.m4a", "*.opus"],
    "visual": ["*.mp4", "*.avi", "*.mkv", "*.mov", "*.flv", "*.webm", "*.mpg", "*.mpeg"],
    "image": ["*.jpg", "*.jpeg", "*.png", "*.webp"],
    "text": ["*.txt"],
    "sequence": ["*.npy", "*.csv"],
}


class Folder(Dataset):
    """Reads class folders with samples, as folders or as files of one name."""

    class Config(Section):
        """Which file is what."""

        modalities: dict[ModalityName, list[str]] | None = Field(
            None,
            min_length=1,
            description="modality -> patterns of file names, {audio: ['*.wav'], face: ['face*.jpg']}; missing: audio, "
            "visual, image, text and sequence by their usual endings",
        )
        group: str | None = Field(
            None,
            description="regular expression on the sample's name whose first bracket is the group, '^([a-z]+)_'; "
            "missing: each sample is its own",
        )
        classes: list[str] | None = Field(
            None, min_length=2, description="class names in label order; missing: the folders in order"
        )

        @field_validator("group")
        @classmethod
        def _one_bracket(cls, value: str | None) -> str | None:
            try:
                if value is not None and re.compile(value).groups < 1:
                    raise ValueError("has no bracket, expected one around the group: '^([a-z]+)_'")
            except re.error as error:
                raise ValueError(f"is no regular expression ({error})") from None
            return value

    def list_samples(self, source: Path | None, output: Path, seed: int) -> Listing:
        """A row for each sample. Raises DataError for no samples, two files of one modality, a name without a group."""
        assert source is not None
        patterns = self.config.modalities or _PATTERNS
        rows: dict[tuple[str, ...], Row] = {}
        others: list[str] = []
        for split, label, sample, file in _files(source):
            name = "/".join(part for part in (split, label, sample) if part)
            modality = _modality(file.name, patterns)
            if modality is None:
                others.append(f"{name}: {file.name}")
                continue
            row = rows.setdefault((split, label, sample), self._row(source, split, label, sample))
            if modality in row.paths:
                raise DataError(
                    f"{row.origin}: '{Path(row.paths[modality]).name}' and '{file.name}' are both {modality}; say "
                    "which is which with prepare.options.modalities, as in {audio: ['*.wav'], face: ['face*.jpg']}"
                )
            row.paths[modality] = str(file.relative_to(source))
        if not rows:
            more = f"; not used are {len(others)} files such as '{others[0]}'" if others else ""
            raise DataError(
                f"{source}: no samples, expected CLASS/SAMPLE/audio.wav or CLASS/SAMPLE.wav{more}"
            )
        seen = Counter(modality for row in rows.values() for modality in row.paths)
        used = tuple(name for name in patterns if seen[name] or self.config.modalities)
        return Listing(
            rows=list(rows.values()),
            modalities=used,
            root=source,
            classes=None if self.config.classes is None else tuple(self.config.classes),
            texts=tuple(name for name in used if any(p.endswith(".txt") for p in patterns[name])),
            notes=[f"{len(others)} files of no modality left out, such as '{others[0]}'"] if others else [],
        )

    def _row(self, source: Path, split: str, label: str, sample: str) -> Row:
        origin = str(source / split / label / sample)
        return Row(
            sample_id="/".join(part for part in (split, label, sample) if part),
            label=label,
            split=_SPLITS.get(split, ""),
            group=self._group(sample, origin),
            paths={},
            origin=origin,
        )

    def _group(self, sample: str, origin: str) -> str:
        if self.config.group is None:
            return ""
        match = re.search(self.config.group, sample)
        if match is None or not match[1]:
            raise DataError(f"{origin}: its name holds no group that {self.config.group} finds")
        return match[1]


def _modality(name: str, patterns: dict[str, list[str]]) -> str | None:
    """The first modality with a pattern that fits a file's name, upper case or not."""
    fits = (m for m, some in patterns.items() if any(fnmatchcase(name.lower(), p.lower()) for p in some))
    return next(fits, None)


def _files(source: Path) -> Iterator[tuple[str, str, str, Path]]:
    """Split ('' for none), class, sample and path of every file below `source` whose name begins with no dot."""
    top = _folders(source)
    by_split = bool(top) and all(folder.name in _SPLITS for folder in top)
    for split in top if by_split else [source]:
        for label in _folders(split):
            for entry in _shown(label):
                inner = sorted(entry.rglob("*")) if entry.is_dir() else [entry]
                sample = entry.name if entry.is_dir() else entry.stem
                for file in inner:
                    if not file.is_dir() and not file.name.startswith("."):
                        yield split.name if by_split else "", label.name, sample, file


def _folders(folder: Path) -> Sequence[Path]:
    return [entry for entry in _shown(folder) if entry.is_dir()]


def _shown(folder: Path) -> Sequence[Path]:
    """Entries of a folder in order, but for those whose name begins with a dot."""
    if not folder.is_dir():
        raise DataError(f"{folder}: is no folder, expected one with a folder for each class")
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
