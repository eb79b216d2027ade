"""Which manifest cells hold the same: the same row of the same file, a copy of the file, or vectors of equal values.

Whether two files are copies costs nothing where no two have the same size. Files of equal size are compared by a few
blocks of each, and read whole only where these are equal.
"""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ambidex.base.files import open_regular
from ambidex.base.progress import watched
from ambidex.data.datasets._paths import Address, MediaFile, MediaFiles, address
from ambidex.data.rows import Rows

VALUES = ""
"""stands for all modalities together where a key tells of the values of a whole sample"""
_BLOCK = 4_096
_CHUNK = 1 << 20
_THREADS = 8
"""files read at a time: on a network drive the way to a file takes longer than its blocks"""
_BATCH = 32
_ABSENT = b"absent"

_ROW_BITS = 36
"""of a key: more rows than a file can have"""
_MOST_ROWS = 2**_ROW_BITS - 1

Ints = NDArray[np.int64]
Keys = dict[str, Ints]
"""modality (or VALUES) -> what each row's cell holds [N]: equal numbers, equal content; NONE where that is not told"""
NONE = -1


def content_keys(rows: Rows, files: MediaFiles, root: Path, texts: Collection[str] = ()) -> Keys:
    """What each row's cells hold. `files`: every file that the rows name, as `media_files` found them.

    Vectors and texts are compared by value, whole samples only: a value of few dimensions or words may come twice by
    chance. `texts`: modalities whose cells are texts; they have no key of their own. A file without content has no
    key, nor has one that cannot be read: extract rejects both.
    """
    original, arrays = _originals(files), dict[tuple[Hashable, ...], int]()
    vectors = np.ones(len(rows), bool)
    keys = {name: np.full(len(rows), NONE) for name in rows.cells if name not in texts}
    for modality in keys:
        for place, cell in enumerate(rows.cells[modality]):
            if cell is not None:
                own = address(cell)
                vectors[place] &= own.row is not None
                if files.size(own.file):
                    keys[modality][place] = _key(own, original.get(own.file, own.file), files, arrays)
    if (places := np.flatnonzero(vectors)).size:
        keys[VALUES] = _equal_samples(rows, places, root, len(files) + len(arrays), texts)
    return keys


def _key(own: Address, file: str, files: MediaFiles, arrays: dict[tuple[Hashable, ...], int]) -> int:
    """The number of what an address names in `file`, which stands for its own; `arrays`: their numbers, which grow."""
    if own.row is None and not own.array:
        return files.place(file) << _ROW_BITS
    row = -1 if own.row is None else own.row
    array, within = ((file, own.array), row + 1) if row < _MOST_ROWS else ((file, own.array, row), 0)
    return (len(files) + arrays.setdefault(array, len(arrays)) << _ROW_BITS) + within


def _originals(files: MediaFiles) -> dict[str, str]:
    """The name that stands for each file that is not the first one with its content."""
    of_name = files.links()
    copies = files.equally_large(of_name)
    copies = _equal(copies, _digests("files of equal size", files, copies, _sample).get)
    large = [names for names in copies if files[names[0]].size > 3 * _BLOCK]
    copies = [names for names in copies if files[names[0]].size <= 3 * _BLOCK]
    copies += _equal(large, _digests("files that look equal", files, large, _whole).get)
    for names in copies:
        of_name.update(dict.fromkeys(names[1:], names[0]))
    return {name: of_name.get(one, one) for name, one in of_name.items()}


def _equal(candidates: Iterable[Sequence[str]], key: Callable[[str], Hashable]) -> list[list[str]]:
    """Each of `candidates` (sets of names) parted by `key`: parts of several names; none for a key of None."""
    sets: list[list[str]] = []
    for names in candidates:
        parts: dict[Hashable, list[str]] = defaultdict(list)
        for name in names:
            if (value := key(name)) is not None:
                parts[value].append(name)
        sets += [part for part in parts.values() if len(part) > 1]
    return sets


def _digests(
    title: str,
    files: Mapping[str, MediaFile],
    candidates: Sequence[Sequence[str]],
    digest: Callable[[MediaFile], bytes],
) -> dict[str, bytes | None]:
    """The digest of every candidate; None where it cannot be read."""
    names = [name for part in candidates for name in part]

    def batch(part: Sequence[str]) -> list[bytes | None]:
        return [_try(digest, files[name]) for name in part]

    with ThreadPoolExecutor(_THREADS) as pool:
        batches = pool.map(batch, [names[k : k + _BATCH] for k in range(0, len(names), _BATCH)])
        digests = (value for values in batches for value in values)
        return dict(zip(names, watched(digests, title, len(names), "files"), strict=True))


def _try(digest: Callable[[MediaFile], bytes], file: MediaFile) -> bytes | None:
    try:
        return digest(file)
    except OSError:
        return None


def _sample(file: MediaFile) -> bytes:
    """A digest of the first, the middle and the last block: of everything where the file is no longer than these."""
    with open_regular(file.path) as stream:
        if file.size <= 3 * _BLOCK:
            return hashlib.sha256(stream.read(3 * _BLOCK)).digest()
        hasher = hashlib.sha256()
        for start in (0, (file.size - _BLOCK) // 2, file.size - _BLOCK):
            hasher.update(os.pread(stream.fileno(), _BLOCK, start))
        return hasher.digest()


def _whole(file: MediaFile) -> bytes:
    hasher = hashlib.sha256()
    with open_regular(file.path) as stream:
        left = file.size
        while left > 0 and (data := stream.read(min(_CHUNK, left))):
            hasher.update(data)
            left -= len(data)
    return hasher.digest()


def _equal_samples(rows: Rows, places: Ints, root: Path, first: int, texts: Collection[str]) -> Ints:
    """What each row [N] shares with others, of those at `places`, all of whose cells are texts or rows of arrays.

    That is their values. first: keys begin with this number, which no file or array has.
    """
    alike = np.zeros(len(places), np.int64)  # equal so far
    for modality, column in rows.cells.items():
        digests = np.zeros(len(places), "S32")
        for k, place in enumerate(watched(places, f"values of {modality}", len(places), "samples")):
            digests[k] = _value(column[place], root, modality in texts)
        whole = digests != b""
        _, values = np.unique(digests, return_inverse=True)
        both = alike * (len(values) + 1) + values
        _, alike, counts = np.unique(both, return_inverse=True, return_counts=True)
        kept = whole & (counts[alike] > 1)
        places, alike = places[kept], alike[kept]
    keys = np.full(len(rows), NONE)
    keys[places] = (first + alike) << _ROW_BITS
    return keys


def _value(cell: str | None, root: Path, is_text: bool) -> bytes:
    """A digest of the text or vector of `cell`; nothing where there is none: extract then says why."""
    if cell is None:
        return _ABSENT
    from ambidex.data.media.container import MediaError
    from ambidex.data.media.texts import read_text_cell
    from ambidex.data.media.vectors import read_vector

    try:
        if is_text:
            return hashlib.sha256(read_text_cell(cell, root).encode()).digest()
        return hashlib.sha256(read_vector(cell, root).tobytes()).digest()
    except (MediaError, OSError, ValueError):
        return b""
