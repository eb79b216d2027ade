"""Which of an encoder's parameters are weights: what methods that edit or measure its gradients work on."""

from collections.abc import Iterator

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
KERNEL_AXES = 4


def weights(encoder: nn.Module) -> list[nn.Parameter]:
    """Its parameters of more than one axis but for those of norms and the biases: kernels, matrices, embeddings."""
    return list({id(weight): weight for weight in _weights(encoder)}.values())  # a shared one counts once


def kernels(encoder: nn.Module) -> list[nn.Parameter]:
    """Its weights of four axes, the kernels of its convolutions; all its weights where there is none."""
    parameters = weights(encoder)
    return [weight for weight in parameters if weight.ndim == KERNEL_AXES] or parameters


def _weights(encoder: nn.Module) -> Iterator[nn.Parameter]:
    for module in encoder.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.ndim > 1 and "bias" not in name and not isinstance(module, NORMS):
                yield parameter
