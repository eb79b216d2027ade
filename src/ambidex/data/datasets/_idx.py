"""The idx files of MNIST: big-endian, a magic number, the sizes, then bytes."""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ambidex.base.errors import DataError
from ambidex.base.files import open_regular

_BYTES = 8
_LARGEST = 2**30


def read_idx(folder: Path, name: str, dimensions: int) -> NDArray[np.uint8]:
    """The array of `folder`/`name` or `name`.gz. Raises DataError: missing, no idx file of bytes, cut short."""
    path = next((p for p in (folder / name, folder / f"{name}.gz") if p.exists()), folder / name)
    try:
        with open_regular(path) as stream:
            source = gzip.GzipFile(fileobj=stream) if path.suffix == ".gz" else stream
            data = source.read(_LARGEST + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DataError(f"{path}: is not a whole gzip file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if len(data) > _LARGEST:
        raise DataError(f"{path}: is larger than {_LARGEST >> 20} MiB")
    head = 4 + 4 * dimensions
    if len(data) < head or data[:4] != bytes([0, 0, _BYTES, dimensions]):
        raise DataError(f"{path}: is no idx file of bytes with {dimensions} dimensions")
    shape = struct.unpack(f">{dimensions}I", data[4:head])
    expected = head + int(np.prod([int(size) for size in shape], dtype=object))
    if len(data) != expected:
        raise DataError(f"{path}: has {len(data):,} bytes, its header says {expected:,}")
    return np.frombuffer(data, np.uint8, offset=head).reshape(shape)
