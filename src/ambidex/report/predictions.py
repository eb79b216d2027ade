"""What every predictor said about the test split, kept so that models can be compared sample by sample."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from ambidex.errors import DataError
from ambidex.files import write_bytes, write_csv

PREDICTIONS_FILE = "predictions.safetensors"
SAMPLES_FILE = "predictions.csv"
_TINY = 1e-38


@dataclass(frozen=True)
class Predictions:
    """Probabilities on the test split by predictor, with the samples they belong to."""

    sample_ids: list[str]
    groups: list[str]
    classes: tuple[str, ...]
    labels: Tensor
    """[N] int64"""
    probabilities: dict[str, Tensor]
    """`allocator/<name>`, `branch/<modality>`, `probe/<modality>` (linear, on its feature), `unimodal/<modality>`
    (trained alone) -> [N, C] float32, rows sum to 1"""

    def logits(self, predictor: str) -> Tensor:
        """log p [N, C]: logits that give these probabilities."""
        return self.probabilities[predictor].double().clamp_min(_TINY).log()

    def write(self, folder: Path, headline: str) -> None:
        """Write predictions.safetensors, and predictions.csv with a line per sample; `headline`: a predictor."""
        everything = {"labels": self.labels, **self.probabilities}
        data = save({name: tensor.contiguous() for name, tensor in everything.items()})
        write_bytes(folder / PREDICTIONS_FILE, data)
        write_csv(folder / SAMPLES_FILE, self._rows(headline))

    def _rows(self, headline: str) -> list[dict[str, object]]:
        said = {name: p.argmax(dim=1).tolist() for name, p in self.probabilities.items()}
        confidence = self.probabilities[headline].amax(dim=1).tolist()
        return [
            {
                "sample_id": self.sample_ids[i],
                "group": self.groups[i],
                "label": self.classes[label],
                "predicted": self.classes[said[headline][i]],
                "correct": int(said[headline][i] == label),
                "confidence": round(confidence[i], 6),
                **{name: self.classes[found[i]] for name, found in said.items()},
            }
            for i, label in enumerate(self.labels.tolist())
        ]


def probabilities(logits: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    """Logits [N, C] by name -> probabilities, float32, under the names `kind/<name>`."""
    return {f"{kind}/{name}": z.double().softmax(dim=1).float() for name, z in logits.items()}


def read_predictions(folder: Path, classes: Sequence[str]) -> Predictions:
    """What `Predictions.write` wrote. Raises DataError where a file is missing or damaged."""
    import csv

    try:
        tensors = load_file(folder / PREDICTIONS_FILE)
        with (folder / SAMPLES_FILE).open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        labels = tensors.pop("labels")
        if len(rows) != len(labels):
            raise DataError(
                f"{folder / SAMPLES_FILE}: has {len(rows)} samples, {PREDICTIONS_FILE} {len(labels)}"
            )
        ids, groups = [row["sample_id"] for row in rows], [row["group"] for row in rows]
    except (OSError, SafetensorError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{folder}: predictions cannot be read ({reason}); run evaluate again") from None
    return Predictions(ids, groups, tuple(classes), torch.as_tensor(labels), tensors)
