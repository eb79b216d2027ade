"""Building a module for its shapes alone: no memory, no random numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


@contextmanager
def shapes_only() -> Iterator[None]:
    """Within, what is built stands on torch's `meta` device, and drawing normal numbers does nothing.

    On that device torch draws them in Python, and imports its compiler for it: seconds for nothing.
    """
    with torch.device("meta"), _Undrawn():
        yield


class _Undrawn(TorchFunctionMode):
    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is Tensor.normal_:
            return args[0]
        return function(*args, **(kwargs or {}))
