"""Loss scaling: what keeps small gradients of half precision from vanishing. Elsewhere all of this is free."""

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

START = 2.0**16


class LossScale:
    """Multiplies losses by a power of two, and divides it out of the gradients before anybody looks at them.

    Where a gradient overflows, the step is left out and the scale halves; after 2000 good steps it doubles.
    """

    def __init__(self, device: torch.device, active: bool, start: float = START) -> None:
        self._scaler = torch.amp.GradScaler(device.type, init_scale=start) if active else None

    def scaled(self, loss: Tensor) -> Tensor:
        """The loss to take the gradient of."""
        return loss if self._scaler is None else self._scaler.scale(loss)

    def unscale(self, optimizer: Optimizer) -> bool:
        """Make the gradients those of the loss itself. False: one of them overflowed, and none is of use."""
        if self._scaler is None:
            return True
        before = self._scaler.get_scale()
        self._scaler.unscale_(optimizer)
        self._scaler.update()
        return self._scaler.get_scale() >= before

    def state_dict(self) -> dict[str, Any]:
        """The scale, and for how many steps it has been good."""
        return {} if self._scaler is None else self._scaler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of state_dict."""
        if self._scaler is not None:
            self._scaler.load_state_dict(state)
