"""Ready features: a manifest cell that names a row of a .npy, .npz or .csv file becomes a vector."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ambidex.data.media.addresses import ArrayAddress, array_of, parse
from ambidex.data.media.container import MediaError
from ambidex.data.media.limits import DEFAULT

_FORMS = "file.npy, file.npy[row], file.npz#array, file.npz#array[row] or file.csv[row]"


def read_vector(
    cell: str, root: Path, size: int | None = None, most: int = DEFAULT.bytes
) -> NDArray[np.float32]:
    """The vector [size] that `cell` names, float32; its path is relative to `root`.

    Raises MediaError: cell not understood, file missing or not of its kind, array or row not there, not
    numeric, not one-dimensional, not finite, of another length than `size`, more than `most` bytes of memory needed.
    """
    array = array_of(root, _address(cell), most)
    if array.ndim != 1:
        whole = ", or read all of it with kind: sequence" if array.ndim == 2 else ""
        raise MediaError(
            f"expected a vector, found an array of shape {list(array.shape)}; name a row: [0]{whole}"
        )
    if size is not None and len(array) != size:
        raise MediaError(f"has {len(array)} values, expected {size}")
    with np.errstate(over="ignore"):
        vector = array.astype(np.float32)
    if not np.isfinite(vector).all():
        place = int(np.argmin(np.isfinite(vector)))
        why = "is too large for 32 bits" if np.isfinite(array[place]) else "is not a finite number"
        raise MediaError(f"value {place} {why}")
    return vector


def _address(cell: str) -> ArrayAddress:
    address = parse(cell)
    if address is None:
        raise MediaError(f"'{cell}' names no vector; expected {_FORMS}")
    if address.ending == "csv" and address.row is None:
        raise MediaError(f"'{cell}' names no vector; expected {_FORMS}; a whole table is a kind: sequence")
    return address
