"""Reading a pickle that holds numpy arrays, dicts, lists, tuples, strings, bytes and numbers, without running anything.

A pickle is a program: the names in it are looked up, called, and get their state set. Here a name can only be one of
numpy's few that write an array down, and stands for a record of this file, which keeps what it is given. Only when all
is read are arrays made, from bytes of a checked length. Any other name ends the reading.
"""

import math
import pickle
import re
import reprlib
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
from numpy.typing import NDArray

from ambidex.base.errors import DataError, one_line
from ambidex.base.files import open_regular

_DEEPEST = 20
_MOST = 500_000
"""values of all lists and dicts: a small file can name one list very often"""
_BITS = 64
_DTYPE = re.compile(r"^[<>=|]?([biufSU][0-9]{1,6}|O8?|\?)$")
_MODULES = (
    "numpy.core.multiarray",
    "numpy._core.multiarray",
    "numpy.core.numeric",
    "numpy._core.numeric",
    "numpy",
)
_NAMES = {
    "_reconstruct": "array",
    "ndarray": "class",
    "dtype": "dtype",
    "scalar": "scalar",
    "_frombuffer": "buffer",
}
_ERRORS = (
    pickle.UnpicklingError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)


class _ForeignError(Exception):
    """A name that is not numpy's."""


class _Record:
    """What a name of numpy's was given: an array, its type, or a number, not yet made."""

    __slots__ = ("arguments", "kind", "state")

    def __init__(self, kind: str, arguments: tuple[Any, ...]) -> None:
        self.kind = kind
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Name:
    """Stands for a name of numpy's; called, it makes a record and nothing else."""

    __slots__ = ("kind",)
    kind: str

    def __init__(self, kind: str) -> None:
        object.__setattr__(self, "kind", kind)

    def __setattr__(self, name: str, value: Any) -> None:
        raise pickle.UnpicklingError("sets what a name stands for")

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("sets what a name stands for")

    def __call__(self, *arguments: Any) -> Any:
        if self.kind == "class":
            raise pickle.UnpicklingError("makes an array without content")
        if self.kind == "encode":  # how old protocols write bytes
            text, coding = arguments
            if coding not in ("latin1", "latin-1") or not isinstance(text, str):
                raise pickle.UnpicklingError("holds text of another coding")
            return text.encode("latin1")
        return _Record(self.kind, arguments)


class _Bounded:
    """A file of which no read asks for more memory than the file is long."""

    def __init__(self, stream: BinaryIO) -> None:
        self.readline = stream.readline
        self._read = stream.read
        self._size = stream.seek(0, 2)
        stream.seek(0)

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`."""
        return self._read(min(size, self._size))


class _Reader(pickle._Unpickler):  # the one in C keeps a table as long as a file may claim
    """Knows numpy's names alone."""

    read: Callable[[int], bytes]
    append: Callable[[Any], None]
    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)

    def load_bytearray8(self) -> None:
        """Bytes of a stated length. Raises EOFError where the file holds fewer, before it takes memory for them."""
        size = int.from_bytes(self.read(8), "little")
        data = self.read(size)
        if len(data) < size:
            raise EOFError("ends within an array")
        self.append(data)

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8

    def find_class(self, module: str, name: str) -> Any:
        """A stand-in for one of numpy's names. Raises _ForeignError for any other one."""
        if module in _MODULES and name in _NAMES:
            return _Name(_NAMES[name])
        if (module, name) == ("_codecs", "encode"):
            return _Name("encode")
        raise _ForeignError(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        """Raises UnpicklingError: nothing outside the file is read."""
        raise pickle.UnpicklingError("names something outside the file")

    def get_extension(self, code: int) -> None:
        """Raises UnpicklingError: a number stands for no name here."""
        raise pickle.UnpicklingError("names something by a number")


def read_plain_pickle(path: Path) -> Any:
    """What the file holds: dicts, lists, tuples, strings, bytes, numbers and arrays; an array of objects as lists.

    Raises DataError with one line: unreadable, cut short, or with anything else in it, whose name is given. Nothing in
    the file is run.
    """
    try:
        with open_regular(path) as stream:
            return _Maker().plain(_Reader(_Bounded(stream), encoding="latin1").load())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    except _ForeignError as error:
        raise DataError(
            f"{path}: holds '{one_line(error, 80)}', expected numpy arrays, dicts, lists, strings and numbers alone; "
            "nothing of it was run"
        ) from None
    except _ERRORS as error:
        reason = one_line(error, 120) or "it ends too early"  # an empty file's error has no words
        raise DataError(f"{path}: is no whole pickle of plain arrays ({reason})") from None


class _Maker:
    """Makes values of what was read, and counts them."""

    def __init__(self) -> None:
        self._count = 0

    def plain(self, value: Any, depth: int = 0) -> Any:
        """`value` with arrays and numbers in place of records. Raises ValueError: anything else, too deep, too much."""
        self._count += 1
        if depth > _DEEPEST or self._count > _MOST:
            raise ValueError(f"is nested more than {_DEEPEST} deep or holds more than {_MOST:,} values")
        if type(value) is int and value.bit_length() > _BITS:
            raise ValueError(f"holds a number of more than {_BITS} bits")
        if value is None or type(value) in (bool, int, float, str, bytes):
            return value
        if type(value) is dict:
            return {_key(key): self.plain(inner, depth + 1) for key, inner in value.items()}
        if type(value) is list or type(value) is tuple:
            return [self.plain(inner, depth + 1) for inner in value]
        if type(value) is _Record:
            return self._made(value, depth)
        raise ValueError(f"holds a {type(value).__name__.strip('_')}")

    def _made(self, record: _Record, depth: int) -> Any:
        if record.kind == "array":
            _, shape, kind, fortran, data = record.state
            return self._array(shape, _dtype(kind), "F" if fortran else "C", data, depth)
        if record.kind == "buffer":
            data, kind, shape, order = record.arguments
            return self._array(shape, _dtype(kind), order, data, depth)
        if record.kind == "scalar":
            kind, data = record.arguments
            return self._array((), _dtype(kind), "C", data, depth).item()
        raise ValueError(f"holds a {record.kind} alone")

    def _array(self, shape: Any, dtype: np.dtype[Any], order: str, data: Any, depth: int) -> Any:
        """An array of `shape` from bytes of its length; one of objects as nested lists."""
        sizes = tuple(shape)
        if not all(type(size) is int and size >= 0 for size in sizes) or order not in ("C", "F"):
            raise ValueError(f"has an array of shape {one_line(reprlib.repr(shape), 60)}")
        count = math.prod(sizes)
        if dtype.kind == "O":
            if type(data) is not list or len(data) != count:
                raise ValueError("has an array of objects that is not whole")
            objects: NDArray[Any] = np.empty(count, dtype=object)
            for place, inner in enumerate(data):
                objects[place] = self.plain(inner, depth + 1)
            return objects.reshape(sizes, order="F" if order == "F" else "C").tolist()
        if isinstance(data, str):  # how Python 2 wrote bytes
            data = data.encode("latin1")
        if not isinstance(data, bytes) or len(data) != count * dtype.itemsize:
            raise ValueError(f"has an array of shape {list(sizes)} that is not whole")
        return np.frombuffer(data, dtype).reshape(sizes, order="F" if order == "F" else "C")


def _key(value: Any) -> Any:
    if type(value) not in (str, int, bytes) or (type(value) is int and value.bit_length() > _BITS):
        raise ValueError(f"has a {type(value).__name__.strip('_')} as a key")
    return value


def _dtype(record: Any) -> np.dtype[Any]:
    """The type of an array: numbers, text or objects."""
    if type(record) is not _Record or record.kind != "dtype":
        raise ValueError("has an array without a type")
    name = record.arguments[0]
    if not isinstance(name, str) or _DTYPE.match(name) is None:
        raise ValueError(f"has an array of type {one_line(reprlib.repr(name), 30)}")
    dtype = np.dtype(name)
    state = record.state
    is_big = isinstance(state, tuple) and len(state) > 1 and state[1] == ">"
    return dtype.newbyteorder(">") if is_big else dtype
