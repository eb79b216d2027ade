"""One modality's tensors, mapped from the shards, as if they were one: samples are gathered from them by number."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_SMALL_ROW = 16 * 2**10
"""bytes of a sample up to which finding it in its shard costs more than copying it"""


class Mapped:
    """Tensors [n_k, *shape] of one type that lie anywhere in memory; sample i is the i-th of all of them in turn."""

    def __init__(self, parts: Sequence[Tensor]) -> None:
        self._parts = [part for part in parts if len(part)] or list(parts[:1])  # they keep the memory alive
        self._arrays = [part.numpy() for part in self._parts]
        sizes = torch.tensor([len(part) for part in self._parts], dtype=torch.int64)
        self._starts, self._count = sizes.cumsum(0) - sizes, int(sizes.sum())
        self._joint = _Joint(self._parts) if _by_address(self._parts) else None

    def gather(self, rows: Tensor) -> Tensor:
        """Samples `rows` [n] as a new tensor [n, *shape]. Raises IndexError where one is not there."""
        if len(self._parts) == 1:
            return self._parts[0].index_select(0, rows)
        if self._joint is not None:
            return self._joint.gather(rows)
        samples = self._parts[0].new_empty((len(rows), *self._parts[0].shape[1:]))
        if not len(rows):
            return samples
        if int(rows.min()) < 0 or int(rows.max()) >= self._count:  # NumPy counts negative ones from the end
            raise IndexError(f"a row is not among the {self._count} samples")
        shard = torch.bucketize(rows, self._starts, right=True) - 1
        places = zip(shard.tolist(), (rows - self._starts[shard]).tolist(), strict=True)
        # one copy for each sample, where an index_select for each shard needs two
        np.concatenate([self._arrays[k][i : i + 1] for k, i in places], out=samples.numpy())
        return samples


def _by_address(parts: Sequence[Tensor]) -> bool:
    """Whether samples are small, and all lie whole numbers apart: a file may hold its tensor at any byte."""
    if len(parts) < 2 or parts[0][0].nbytes > _SMALL_ROW:
        return False
    width, origin = parts[0].element_size(), parts[0].data_ptr()
    return all(part.is_contiguous() and (part.data_ptr() - origin) % width == 0 for part in parts)


class _Joint:
    """Small samples by address: a tensor over all memory between the first shard and the last, a number apart.

    Row i of it begins at number i, so that one index_select copies samples of all shards without a step in Python. Only
    rows that begin with a sample are ever read: what lies between two shards is none of ours.
    """

    def __init__(self, parts: Sequence[Tensor]) -> None:
        first, width = parts[0], parts[0].element_size()
        origin = min(part.data_ptr() for part in parts)
        numbers = first[0].numel()
        self._places = torch.cat(
            [(part.data_ptr() - origin) // width + numbers * torch.arange(len(part)) for part in parts]
        )
        steps = [width * step for step in first[0].contiguous().stride()]
        interface = {
            "data": (origin, False),  # never written to; torch warns of arrays that are marked so
            "shape": (int(self._places.max()) + 1, *first.shape[1:]),
            "strides": (width, *steps),
            "typestr": first.numpy().dtype.str,
            "version": 3,
        }
        self._memory = torch.from_numpy(np.asarray(_Memory(interface)))

    def gather(self, rows: Tensor) -> Tensor:
        return self._memory.index_select(0, self._places.index_select(0, rows))  # refuses -1 as any other


class _Memory:
    """Memory that NumPy reads as an array without a copy."""

    def __init__(self, interface: dict[str, object]) -> None:
        self.__array_interface__ = interface
