"""Filling a module with weights that were read from a file, and saying in one line what does not fit."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from ambidex.errors import ModelError


def fill(module: nn.Module, weights: Mapping[str, Tensor], path: Path, hint: str) -> None:
    """Load `weights`, read from `path`, into `module`.

    Raises ModelError naming the first tensor that is missing, of another shape or unknown; `hint` ends the line.
    """
    expected = module.state_dict()
    for name, tensor in expected.items():
        if name not in weights:
            raise ModelError(f"{path}: tensor '{name}' is missing; {hint}")
        if weights[name].shape != tensor.shape:
            found, wanted = list(weights[name].shape), list(tensor.shape)
            raise ModelError(f"{path}: tensor '{name}' has shape {found}, expected {wanted}; {hint}")
    if unknown := sorted(set(weights) - set(expected)):
        raise ModelError(f"{path}: tensor '{unknown[0]}' is unknown; {hint}")
    module.load_state_dict(dict(weights))
