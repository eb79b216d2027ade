"""What the fusions share: the field's linear initialisation, a common feature length, a conditioner."""

from collections.abc import Mapping

from torch import nn

from ambidex.base.errors import ModelError
from ambidex.base.registry import nearest


def linear(inputs: int, outputs: int, bias: bool = True) -> nn.Linear:
    """A linear layer with xavier-normal weights and zero bias."""
    layer = nn.Linear(inputs, outputs, bias=bias)
    nn.init.xavier_normal_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def to_length(dims: Mapping[str, int], length: int) -> nn.ModuleDict:
    """Per modality a bias-free projection D_m -> length, or nothing where D_m is the length already."""
    return nn.ModuleDict(
        {
            name: nn.Identity() if dim == length else linear(dim, length, bias=False)
            for name, dim in dims.items()
        }
    )


def conditioner_of(dims: Mapping[str, int], conditioner: str | None, fusion: str) -> str:
    """The modality that conditions the others: `conditioner`, or the first. Raises ModelError."""
    if len(dims) < 2:
        raise ModelError(f"fusion '{fusion}': found one modality, {[*dims]}, expected two or more")
    if conditioner is not None and conditioner not in dims:
        raise ModelError(
            f"fusion '{fusion}': conditioner '{conditioner}' is not a modality; {nearest(conditioner, [*dims])}"
        )
    return conditioner or next(iter(dims))
