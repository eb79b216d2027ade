"""Published weights from a file, as data only: safetensors, or a .pth that is read without running code."""

from pathlib import Path

import torch
from torch import Tensor, nn

from ambidex.base.errors import ModelError
from ambidex.base.files import open_regular
from ambidex.base.readers.weights import read_tensors
from ambidex.net.weights import fill


def read(path: Path) -> dict[str, Tensor]:
    """The tensors in `path` by name. Raises ModelError where it is not a file of named tensors."""
    if path.suffix == ".safetensors":
        return read_tensors(path, error=ModelError)
    try:
        with open_regular(path) as stream:
            weights = torch.load(stream, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception:  # torch raises many kinds for a file that is none of its own
        raise ModelError(
            f"{path}: is not a weights file (expected .safetensors or .pth with tensors only)"
        ) from None
    if not isinstance(weights, dict) or not all(isinstance(tensor, Tensor) for tensor in weights.values()):
        raise ModelError(f"{path}: found {type(weights).__name__}, expected tensors by name (a state_dict)")
    return weights


def load_resnet(module: nn.Module, path: Path) -> None:
    """Fill `module` from `path`: fc.* is ignored, conv1 is summed over colour where `module` has one channel.

    The sum keeps the response to a grey image: the same plane in all three channels. Raises ModelError naming
    the first tensor that is missing, unknown or of another shape.
    """
    weights = {
        name: tensor.float() if tensor.is_floating_point() else tensor  # published in half precision, too
        for name, tensor in read(path).items()
        if not name.startswith("fc.")
    }
    for name, tensor in module.state_dict().items():
        if name.endswith("num_batches_tracked"):  # older files lack this counter
            weights.setdefault(name, tensor)
    grey = module.state_dict()["conv1.weight"].shape[1] == 1
    if grey and "conv1.weight" in weights and weights["conv1.weight"].dim() == 4:
        weights["conv1.weight"] = weights["conv1.weight"].sum(dim=1, keepdim=True)
    fill(module, weights, path, "expected the weights of a ResNet-18")
