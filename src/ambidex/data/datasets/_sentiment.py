"""CMU-MOSI and CMU-MOSEI as the field shares them: one pickle of features by split, text, audio and vision by word.

Two forms are read: {train, valid, test: {text, audio, vision, labels, id}} with labels [N, 1, 1] and ids (video, start,
end), and the one with regression_labels [N], raw_text and ids `video$_$clip`. Nothing in the pickle is run.
"""

from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ambidex.base.errors import DataError, one_line
from ambidex.configuration.params import Section
from ambidex.data.datasets import Dataset, Listing
from ambidex.data.datasets._plain_pickle import read_plain_pickle
from ambidex.data.manifest import SPLITS, Row
from ambidex.data.media.texts import parse_text

_NAMES = {"train": ("train",), "val": ("valid", "val", "dev"), "test": ("test",)}
_WORDS = "text"
_ARRAYS = {_WORDS: ("text",), "audio": ("audio",), "visual": ("vision", "visual", "video")}
_LABELS = ("regression_labels", "labels")
_STRONGEST = 3.0
_CLASSES = {
    2: ("negative", "non_negative"),
    3: ("negative", "neutral", "positive"),
    7: ("-3", "-2", "-1", "0", "1", "2", "3"),
}

Numbers = NDArray[np.float32]


class SentimentConfig(Section):
    """Which classes the sentiment from -3 to 3 becomes, and what text is."""

    classes: Literal[2, 3, 7] = Field(
        2, description="2: below 0 or not; 3: negative, neutral, positive; 7: rounded, -3 to 3"
    )
    zero: Literal["kept", "left_out"] = Field(
        "kept", description="with 2 classes: whether a sentiment of exactly 0 counts as not negative"
    )
    neutral: float = Field(
        0.0, ge=0, le=1, description="with 3 classes: a sentiment up to this far from 0 is neutral"
    )
    text: Literal["features", "raw"] = Field(
        "features", description="features: vectors by word; raw: the words said, for the kind text"
    )


class SentimentDataset(Dataset):
    """Writes a .npy [N, steps, D] for each split and modality, of which each sample is a row."""

    files: ClassVar[tuple[str, ...]] = ()
    """usual names of the pickle, where `source` is a folder"""
    published: ClassVar[tuple[tuple[int, int, int], ...]] = ()
    """samples of train, val and test in the published pickles"""

    def list_samples(self, source: Path | None, output: Path, seed: int) -> Listing:
        """The samples of the pickle. Raises DataError naming file, split and key of a mistake."""
        assert source is not None
        path = self._file(source)
        content = read_plain_pickle(path)
        rows: list[Row] = []
        notes: list[str] = []
        for split in SPLITS:
            part = _part(path, content, split)
            rows += self._rows(path, part, split, output, notes)
        counts = tuple(sum(row.split == split for row in rows) for split in SPLITS)
        left_out = f"{', '.join(map(str, counts))} samples in train, val, test"
        if self.config.zero == "kept" and counts not in self.published:
            notes.append(f"{left_out}; published are {' or '.join(map(str, self.published))}")
        return Listing(
            rows=rows,
            modalities=("text", "audio", "visual"),
            classes=_classes(self.config),
            protocol="published split, videos disjoint",
            texts=("text",) if self.config.text == "raw" else (),
            notes=notes,
        )

    def _file(self, source: Path) -> Path:
        if not source.is_dir():
            return source
        there = [source / name for name in self.files if (source / name).is_file()]
        if not there:
            raise DataError(
                f"{source}: none of {', '.join(self.files)}; name the pickle itself as prepare.source"
            )
        return there[0]

    def _rows(
        self, path: Path, part: dict[str, Any], split: str, output: Path, notes: list[str]
    ) -> list[Row]:
        where = f"{path}, split '{split}'"
        scores = _scores(where, part)
        ids = _ids(where, part, len(scores))
        used = [name for name in _ARRAYS if name != _WORDS or self.config.text == "features"]
        for name in used:
            values = _features(where, part, name, len(scores))
            bad = int((~np.isfinite(values)).sum())
            if bad:
                notes.append(f"{split}: {bad:,} values of {name} were not finite and are 0")
                values = np.nan_to_num(values, nan=0, posinf=0, neginf=0)
            np.save(output / f"{split}_{name}.npy", values, allow_pickle=False)
        texts = _texts(where, part, len(scores)) if self.config.text == "raw" else []
        rows = []
        for k, score in enumerate(scores.tolist()):
            label = _label(score, self.config)
            if label is None:
                continue
            paths = {name: f"{split}_{name}.npy[{k}]" for name in used}
            if texts and texts[k]:
                paths["text"] = texts[k]
            rows.append(Row(f"{split}_{k:05d}", label, split, ids[k], paths, f"{where}, sample {k}"))
        return rows


def _classes(config: Any) -> tuple[str, ...]:
    if config.classes == 2 and config.zero == "left_out":
        return ("negative", "positive")
    return _CLASSES[config.classes]


def _label(score: float, config: Any) -> str | None:
    """The class of a sentiment; None where the sample is left out."""
    if config.classes == 7:
        return str(int(np.round(score)))
    if config.classes == 3:
        return "neutral" if abs(score) <= config.neutral else "negative" if score < 0 else "positive"
    if score == 0 and config.zero == "left_out":
        return None
    return _classes(config)[int(score >= 0)]


def _part(path: Path, content: Any, split: str) -> dict[str, Any]:
    """What the pickle says of a split."""
    if not isinstance(content, dict):
        raise DataError(
            f"{path}: holds a {type(content).__name__}, expected a dict with the keys train, valid, test"
        )
    name = next((name for name in _NAMES[split] if name in content), None)
    if name is None or not isinstance(content[name], dict):
        keys = ", ".join(one_line(str(key), 30) for key in list(content)[:8])
        raise DataError(f"{path}: no split '{_NAMES[split][0]}'; its keys: {keys}")
    part: dict[str, Any] = content[name]
    return part


def _get(where: str, part: dict[str, Any], names: tuple[str, ...]) -> Any:
    """The value of the first of `names`."""
    for name in names:
        if name in part:
            return part[name]
    keys = ", ".join(one_line(str(key), 30) for key in list(part)[:12])
    raise DataError(f"{where}: no '{names[0]}'; its keys: {keys}")


def _scores(where: str, part: dict[str, Any]) -> NDArray[np.float64]:
    """Sentiment [N], -3 to 3."""
    given = _get(where, part, _LABELS)
    try:
        labels = np.asarray(given, dtype=np.float64)
    except (ValueError, TypeError):
        raise DataError(f"{where}: its labels are no numbers") from None
    if labels.ndim < 1 or labels.size != len(labels) or not labels.size:
        raise DataError(f"{where}: its labels have shape {list(labels.shape)}, expected [N] or [N, 1, 1]")
    scores = labels.reshape(len(labels))
    wrong = np.flatnonzero(~(np.abs(scores) <= _STRONGEST))
    if wrong.size:
        more = f" (and {wrong.size - 1} more)" if wrong.size > 1 else ""
        raise DataError(f"{where}: sample {wrong[0]} has label {scores[wrong[0]]:g}{more}, expected -3 to 3")
    return scores


def _ids(where: str, part: dict[str, Any], count: int) -> list[str]:
    """The video of each sample."""
    ids = _get(where, part, ("id",))
    entries = ids.tolist() if isinstance(ids, np.ndarray) else ids
    if not isinstance(entries, list) or len(entries) != count:
        length = len(entries) if isinstance(entries, list) else "no list"
        raise DataError(f"{where}: 'id' has {length} entries for {count} labels")
    return [_video(f"{where}, sample {k}", entry) for k, entry in enumerate(entries)]


def _video(where: str, entry: Any) -> str:
    """The video of an id: `video$_$clip`, or (video, start, end)."""
    name = entry[0] if isinstance(entry, list) and entry else entry
    text = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
    if not isinstance(text, str) or not text.partition("$_$")[0].strip():
        raise DataError(
            f"{where}: 'id' is {one_line(str(entry), 60)}, expected 'video$_$clip' or (video, start, end)"
        )
    return text.partition("$_$")[0].strip()


def _features(where: str, part: dict[str, Any], modality: str, count: int) -> Numbers:
    """Features [N, steps, D], float32."""
    names = _ARRAYS[modality]
    given = _get(where, part, names)
    if (
        not isinstance(given, np.ndarray)
        or given.dtype.kind not in "fiu"
        or given.ndim != 3
        or len(given) != count
    ):
        what = f"{given.dtype} of shape {list(given.shape)}" if isinstance(given, np.ndarray) else "no array"
        raise DataError(f"{where}: '{names[0]}' is {what}, expected numbers of shape [{count}, steps, D]")
    return given.astype(np.float32)


def _texts(where: str, part: dict[str, Any], count: int) -> list[str]:
    """What was said, in one line each."""
    given = _get(where, part, ("raw_text",))
    texts = given.tolist() if isinstance(given, np.ndarray) else given
    if not isinstance(texts, list) or len(texts) != count or not all(isinstance(text, str) for text in texts):
        raise DataError(f"{where}: 'raw_text' is no list of {count} texts")
    lines = [" ".join(text.split()) for text in texts]
    return [f"{line} ." if parse_text(line) else line for line in lines]
