"""Sequences: a manifest cell that names a table of numbers, [steps, channels], becomes an array."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ambidex.data.media.addresses import ArrayAddress, array_of, parse, shape_of
from ambidex.data.media.container import MediaError
from ambidex.data.media.limits import DEFAULT

_FORMS = "file.npy, file.npz#array or file.csv; with [row] one of many in an array [samples, steps, channels]"


def read_sequence(cell: str, root: Path, most: int = DEFAULT.bytes) -> NDArray[np.float32]:
    """The sequence [steps, channels] that `cell` names, float32; its path is relative to `root`.

    Raises MediaError: cell not understood, file missing or not of its kind, array or row not there, not numeric, not
    two-dimensional, without steps or channels, not finite, more than `most` bytes of memory needed.
    """
    array = array_of(root, _address(cell), most, needs_header=False)
    _check_shape(array.shape)
    with np.errstate(over="ignore"):
        sequence = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(sequence).all():
        raise MediaError(_what_is_wrong(array, np.isfinite(sequence)))
    return sequence


def sequence_shape(cell: str, root: Path, most: int = DEFAULT.bytes) -> tuple[int, int]:
    """Steps and channels of the sequence that `cell` names; its values may be wrong still. Raises MediaError."""
    shape = shape_of(root, _address(cell), most, needs_header=False)
    _check_shape(shape)
    return shape[0], shape[1]


def resampled(sequence: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """A sequence [T, D] at `length` steps at equal distances from its first to its last, linear in between.

    One step alone is repeated; of several, one wanted step is the first.
    """
    places = np.linspace(0, len(sequence) - 1, length)
    left = np.floor(places).astype(np.int64)
    right = np.minimum(left + 1, len(sequence) - 1)
    share = (places - left)[:, None]
    return ((1 - share) * sequence[left] + share * sequence[right]).astype(np.float32)


def _address(cell: str) -> ArrayAddress:
    address = parse(cell)
    if address is None:
        raise MediaError(f"'{cell}' names no sequence; expected {_FORMS}")
    if address.ending == "csv" and address.row is not None:
        raise MediaError(f"'{cell}' names one row of a table; a sequence is all of it: {address.file}")
    return address


def _check_shape(shape: tuple[int, ...]) -> None:
    if len(shape) == 1:
        raise MediaError(
            f"expected a sequence [steps, channels], found an array of shape {list(shape)}; save one channel as "
            f"[{shape[0]}, 1], and read features without an order with kind: vector"
        )
    if len(shape) != 2:
        row = "; name one of them: [0]" if len(shape) == 3 else ""
        raise MediaError(f"expected a sequence [steps, channels], found an array of shape {list(shape)}{row}")
    if not shape[0]:
        raise MediaError("has no steps")
    if not shape[1]:
        raise MediaError("has no channels")


def _what_is_wrong(array: NDArray[Any], finite: NDArray[np.bool_]) -> str:
    step, channel = np.unravel_index(int(np.argmin(finite)), finite.shape)
    why = "is too large for 32 bits" if np.isfinite(array[step, channel]) else "is not a finite number"
    return f"row {step}, column {channel} {why} (both counted from 0)"
