"""Reading safetensors: a regular file whose header says what it holds before any of it is read."""

from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from ambidex.base.errors import AmbidexError, DataError
from ambidex.base.files import open_regular
from ambidex.base.readers.source import Source


@dataclass(frozen=True)
class Header:
    """What the header says of one tensor."""

    dtype: str
    """as the format calls it: F32, U8, I64, ..."""
    shape: tuple[int, ...]


def read_tensors(path: Path, *, error: type[AmbidexError] = DataError, hint: str = "") -> dict[str, Tensor]:
    """All tensors of a safetensors file by name, on the CPU. Raises `error` with one line."""
    source = Source(str(path), error, hint)
    _check_regular(path, source)
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError, ValueError, RuntimeError) as problem:
        raise _damaged(source, problem) from None


def read_chosen(path: Path, start: str, *, error: type[AmbidexError] = DataError) -> dict[str, Tensor]:
    """The tensors whose names begin with `start`, by the rest of their names. Raises `error` with one line."""
    source = Source(str(path), error)
    _check_regular(path, source)
    try:
        with safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(start)]  # noqa: SIM118, no mapping
            return {name.removeprefix(start): file.get_tensor(name) for name in names}
    except (OSError, SafetensorError, ValueError, RuntimeError) as problem:
        raise _damaged(source, problem) from None


def read_tensor(path: Path, name: str, *, error: type[AmbidexError] = DataError, hint: str = "") -> Tensor:
    """One tensor of a safetensors file. Raises `error` with one line."""
    source = Source(str(path), error, hint)
    _check_regular(path, source)
    try:
        with safe_open(path, framework="pt") as file:
            tensor: Tensor = file.get_tensor(name)
            return tensor
    except (OSError, SafetensorError, ValueError, RuntimeError) as problem:
        raise _damaged(source, problem) from None


def read_headers(path: Path, *, error: type[AmbidexError] = DataError, hint: str = "") -> dict[str, Header]:
    """What each tensor of a safetensors file is, without reading it. Raises `error` with one line."""
    source = Source(str(path), error, hint)
    _check_regular(path, source)
    try:
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118, no mapping
            return {name: Header(one.get_dtype(), tuple(one.get_shape())) for name, one in slices.items()}
    except (OSError, SafetensorError, ValueError, RuntimeError) as problem:
        raise _damaged(source, problem) from None


def _check_regular(path: Path, source: Source) -> None:
    """The library opens by name, so what stands there is looked at first: a FIFO would wait for ever."""
    try:
        open_regular(path).close()
    except (OSError, ValueError) as error:
        raise source.wrong(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None


def _damaged(source: Source, problem: Exception) -> AmbidexError:
    return source.wrong(f"is not a readable weights file ({str(problem).partition(chr(10))[0][:120]})")
