"""Filling a module with weights that were read from a file, and saying in one line what does not fit."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from ambidex.base.errors import ModelError
from ambidex.base.readers.weights import Header

_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""as safetensors calls them"""


def fill(module: nn.Module, weights: Mapping[str, Tensor], path: Path, hint: str) -> None:
    """Load `weights`, read from `path`, into `module`.

    Raises ModelError naming the first tensor that is missing, of another type or shape, or unknown; `hint` ends
    the line.
    """
    headers = {name: Header(_name(tensor.dtype), tuple(tensor.shape)) for name, tensor in weights.items()}
    check_headers(module.state_dict(), headers, path, hint)
    module.load_state_dict(dict(weights))


def check_headers(
    expected: Mapping[str, Tensor], headers: Mapping[str, Header], path: Path, hint: str
) -> None:
    """Raise ModelError naming the first tensor of `expected` (a state_dict) that `headers` of `path` do not fit."""
    for name, tensor in expected.items():
        if name not in headers:
            raise ModelError(f"{path}: tensor '{name}' is missing; {hint}")
        if headers[name].shape != tuple(tensor.shape):
            shapes = f"{list(headers[name].shape)}, expected {list(tensor.shape)}"
            raise ModelError(f"{path}: tensor '{name}' has shape {shapes}; {hint}")
        if headers[name].dtype != _name(tensor.dtype):
            kinds = f"{headers[name].dtype}, expected {_name(tensor.dtype)}"
            raise ModelError(f"{path}: tensor '{name}' is of type {kinds}; {hint}")
    if unknown := sorted(set(headers) - set(expected)):
        raise ModelError(f"{path}: tensor '{unknown[0]}' is unknown; {hint}")


def _name(dtype: torch.dtype) -> str:
    return _DTYPES.get(dtype, str(dtype))
