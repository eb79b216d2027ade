"""Which epoch's weights a training delivers, and the file that keeps them until it ends."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save

from ambidex.base.files import write_bytes
from ambidex.learn.loop.by_group import NLL, validation_nll
from ambidex.net.model import MultimodalNet

BEST_FILE = "best.safetensors"


def candidate(rule: str, values: Mapping[str, float], epoch: int) -> dict[str, Any]:
    """`epoch` with its `score` by `train.selection`: the highest is selected, the first of equals. An NLL
    is that of groups where there are such.

    Without validation values the score is the epoch's number, so that the last one is selected.
    """
    accuracy, nll = values.get("val/accuracy/fused"), values.get(NLL)
    by_group = validation_nll(values)
    score = float(epoch)
    if rule != "last" and accuracy is not None and by_group is not None:
        score = -by_group if rule == "val_nll" else accuracy
    return {"score": score, "epoch": epoch, "accuracy": accuracy, "nll": nll}


def save_best(model: MultimodalNet, folder: Path) -> None:
    """Write the model's weights to BEST_FILE in `folder`, whole or not at all."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    write_bytes(folder / BEST_FILE, save(weights))
