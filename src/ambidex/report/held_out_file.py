"""The file in which evaluate keeps how the model does on held-out samples, for a choice between models."""

from pathlib import Path

import torch
from safetensors.torch import save

from ambidex.base.files import write_bytes
from ambidex.base.readers import Source
from ambidex.base.readers.weights import read_tensors
from ambidex.judge.cross_validated import CrossValidated

HELD_OUT_FILE = "held_out.safetensors"
_AGAIN = "run evaluate again"


def write_held_out(folder: Path, scores: CrossValidated) -> None:
    """Write held_out.safetensors into `folder`: losses, hits, labels and units, [N] each."""
    tensors = {name: tensor.contiguous() for name, tensor in scores._asdict().items()}
    write_bytes(folder / HELD_OUT_FILE, save(tensors))


def read_held_out_file(folder: Path) -> CrossValidated | None:
    """The inverse; None where the report is older than this file. Raises DataError where it is damaged."""
    path = folder / HELD_OUT_FILE
    if not path.exists():
        return None
    source, tensors = Source(str(path), hint=_AGAIN), read_tensors(path, hint=_AGAIN)
    if missing := set(CrossValidated._fields) - set(tensors):
        raise source.wrong(f"tensor '{min(missing)}' is missing")
    scores = CrossValidated(**{name: tensors[name] for name in CrossValidated._fields})
    shape = scores.labels.shape
    kinds = (torch.float64, torch.float64, torch.int64, torch.int64)
    for name, tensor, kind in zip(scores._fields, scores, kinds, strict=True):
        if tensor.dtype != kind or tensor.dim() != 1 or tensor.shape != shape or not len(tensor):
            raise source.wrong(f"{name}: got {list(tensor.shape)} {tensor.dtype}, expected [N] {kind}")
        if not tensor.isfinite().all() or (tensor < 0).any():
            raise source.wrong(f"{name}: holds a number that is negative or not finite")
    for name, most in (("hits", 1), ("units", len(scores.labels) - 1)):
        if tensors[name].max() > most:
            raise source.wrong(f"{name}: holds a number above {most}")
    return scores
