"""Augmentation of a batch of stored tensors, on the device they are on; how, each kind says for its own tensor.

Every random number is drawn from a CPU generator that the caller gives, never from torch's global one: a run
on a GPU draws the same numbers as one on a CPU, and the rest of training's randomness is left alone. What a sample
gets depends on its place in the whole optimiser step, not on how ranks and micro-batches share the step out.
"""

from collections.abc import Mapping

from torch import Tensor

from ambidex.configuration.params import Augment
from ambidex.data.draws import Draws
from ambidex.data.kinds import owner_of


def augment(
    inputs: Mapping[str, Tensor],
    params: Mapping[str, Augment],
    draws: Draws,
    stds: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """Stored tensors, each [B, *shape] -> augmented tensors of the same shape, dtype and device.

    A modality without an entry in `params`, and one whose strengths are all zero, passes as the same object.
    `stds`: the standard deviations of the training split. `draws` are spent by one call.
    """
    return {
        name: owner_of(params[name].kind).augment(x, params[name], draws, stds.get(name))
        if name in params
        else x
        for name, x in inputs.items()
    }
