"""What every predictor said about the test split, kept so that models can be compared sample by sample."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from ambidex.base.errors import DataError
from ambidex.base.files import write_bytes, write_csv
from ambidex.base.readers import Source, read_rows
from ambidex.base.readers.weights import read_headers, read_tensor

PREDICTIONS_FILE = "predictions.safetensors"
SAMPLES_FILE = "predictions.csv"
_TINY = 1e-38
_ROUNDING = 1e-3
"""how far from 1 the sum of a row may be"""
_AGAIN = "run evaluate again"


@dataclass(frozen=True)
class Predictions:
    """Probabilities on the test split by predictor, with the samples they belong to."""

    sample_ids: list[str]
    groups: list[str]
    classes: tuple[str, ...]
    labels: Tensor
    """[N] int64"""
    probabilities: Mapping[str, Tensor]
    """`allocator/<name>`, `branch/<modality>`, `probe/<modality>` (linear, on its feature), `unimodal/<modality>`
    (trained alone) -> [N, C] float32, rows sum to 1; alike for all classes where the sample lacks the modality"""
    present: Mapping[str, Tensor] = field(default_factory=dict)
    """modality -> which samples have it [N], bool, of those that samples lack"""

    def logits(self, predictor: str) -> Tensor:
        """log p [N, C]: logits that give these probabilities."""
        return self.probabilities[predictor].double().clamp_min(_TINY).log()

    def write(self, folder: Path, headline: str) -> None:
        """Write predictions.safetensors, and predictions.csv with a line per sample; `headline`: a predictor."""
        tensors = {"labels": self.labels, **self.probabilities}
        data = save({name: tensor.contiguous() for name, tensor in tensors.items()})
        write_bytes(folder / PREDICTIONS_FILE, data)
        write_csv(folder / SAMPLES_FILE, self._rows(headline))

    def _rows(self, headline: str) -> list[dict[str, object]]:
        answers = {name: self._answers(name, p) for name, p in self.probabilities.items()}
        confidence = self.probabilities[headline].amax(dim=1).tolist()
        return [
            {
                "sample_id": self.sample_ids[i],
                "group": self.groups[i],
                "label": self.classes[label],
                "predicted": answers[headline][i],
                "correct": int(answers[headline][i] == self.classes[label]),
                "confidence": round(confidence[i], 6),
                **{name: column[i] for name, column in answers.items()},
            }
            for i, label in enumerate(self.labels.tolist())
        ]

    def _answers(self, name: str, p: Tensor) -> list[str]:
        """The class that a predictor names for each sample; none where the sample lacks its modality."""
        kind, _, modality = name.partition("/")
        here = self.present.get(modality) if kind != "allocator" else None
        answers = [self.classes[k] for k in p.argmax(dim=1).tolist()]
        return (
            answers
            if here is None
            else [c if has else "" for c, has in zip(answers, here.tolist(), strict=True)]
        )


class _OnDisk(Mapping[str, Tensor]):
    """Probabilities of a file, each read and checked when it is asked for: those of a whole study are gigabytes."""

    def __init__(self, path: Path, names: Sequence[str], shape: tuple[int, int]) -> None:
        self._path, self._names, self._shape = path, tuple(names), shape

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        p = read_tensor(self._path, name, hint=_AGAIN)
        _check_probabilities(name, p, self._shape, Source(str(self._path), hint=_AGAIN))
        return p

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names


def probabilities(logits: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    """Logits [N, C] by name -> probabilities, float32, under the names `kind/<name>`."""
    return {f"{kind}/{name}": z.double().softmax(dim=1).float() for name, z in logits.items()}


def read_predictions(folder: Path, classes: Sequence[str]) -> Predictions:
    """What `Predictions.write` wrote; probabilities are read again when they are asked for.

    Raises DataError where a file is missing or damaged, or a value is impossible.
    """
    source = Source(str(folder / PREDICTIONS_FILE), hint=_AGAIN)
    names = list(read_headers(folder / PREDICTIONS_FILE, hint=_AGAIN))
    rows = read_rows(folder / SAMPLES_FILE, ("sample_id", "group"), hint=_AGAIN)
    if "labels" not in names:
        raise source.wrong("tensor 'labels' is missing")
    names.remove("labels")
    labels = read_tensor(folder / PREDICTIONS_FILE, "labels", hint=_AGAIN)
    if labels.dim() != 1 or labels.dtype != torch.int64:
        raise source.wrong(f"labels: got {list(labels.shape)} {labels.dtype}, expected [N] torch.int64")
    if len(rows) != len(labels):
        raise DataError(
            f"{folder / SAMPLES_FILE}: has {len(rows)} samples, {PREDICTIONS_FILE} {len(labels)}; {_AGAIN}"
        )
    if len(labels) and not (int(labels.min()) >= 0 and int(labels.max()) < len(classes)):
        raise source.wrong(f"labels: got {int(labels.max())}, expected numbers below {len(classes)}")
    stored = _OnDisk(folder / PREDICTIONS_FILE, names, (len(labels), len(classes)))
    for name in stored:
        _ = stored[name]  # checked, and let go
    ids, groups = [row["sample_id"] for row in rows], [row["group"] for row in rows]
    return Predictions(ids, groups, tuple(classes), labels, stored)


def _check_probabilities(name: str, p: Tensor, shape: tuple[int, int], source: Source) -> None:
    """Raise where p is not [N, C] of numbers from 0 to 1 whose rows add up to 1."""
    if tuple(p.shape) != shape or not p.is_floating_point():
        raise source.wrong(f"{name}: got {list(p.shape)} {p.dtype}, expected {list(shape)} torch.float32")
    bad = ~((p >= 0) & (p <= 1 + _ROUNDING)).all(dim=1) | ((p.double().sum(dim=1) - 1).abs() > _ROUNDING)
    if bad.any():
        row = int(bad.int().argmax())
        values = ", ".join(f"{value:.4g}" for value in p[row, :4].tolist())
        raise source.wrong(f"{name}: row {row} holds {values}, expected probabilities that add up to 1")
