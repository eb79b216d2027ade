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

from ambidex.base.files import open_regular
from ambidex.base.progress import watched
from ambidex.data.datasets._paths import Address, MediaFile, addresses
from ambidex.data.manifest import Row

VALUES = ""
"""stands for all modalities together where a key tells of the values of a whole sample"""
_BLOCK = 4_096
_CHUNK = 1 << 20
_THREADS = 8
"""files read at a time: on a network drive the way to a file takes longer than its blocks"""
_BATCH = 32
_ABSENT = b"absent"

Key = Hashable
Keys = dict[str, Key]
"""modality (or VALUES) -> what its cell holds; equal keys: equal content"""


def content_keys(
    rows: Sequence[Row], files: Mapping[str, MediaFile], root: Path, texts: Collection[str] = ()
) -> list[Keys]:
    """What each row's cells hold. `files`: every file that the rows name, as `media_files` found them.

    Vectors and texts are compared by value, whole samples only: a value of few dimensions or words may come twice by
    chance. `texts`: modalities whose cells are texts; they have no key of their own. A file without content has no
    key, nor has one that cannot be read: extract rejects both.
    """
    original = _originals(files)
    cells = [{m: one for m, one in addresses(row, texts).items() if m not in texts} for row in rows]
    keys: list[Keys] = [
        {m: (original[a.file], a.array, a.row) for m, a in own.items() if files[a.file].size} for own in cells
    ]
    for place, digest in _equal_samples(rows, cells, root, texts).items():
        keys[place][VALUES] = digest
    return keys


def _originals(files: Mapping[str, MediaFile]) -> dict[str, str]:
    """The name that stands for each file: the first one with the same content."""
    first: dict[Hashable, str] = {}
    of_name = {name: first.setdefault(file.identity, name) for name, file in files.items()}
    distinct = [name for name, one in of_name.items() if name == one and files[name].size]
    copies = _equal([distinct], lambda name: files[name].size)
    copies = _equal(copies, _digests("files of equal size", files, copies, _sample).get)
    large = [names for names in copies if files[names[0]].size > 3 * _BLOCK]
    copies = [names for names in copies if files[names[0]].size <= 3 * _BLOCK]
    copies += _equal(large, _digests("files that look equal", files, large, _whole).get)
    for names in copies:
        of_name.update(dict.fromkeys(names, names[0]))
    return {name: of_name[one] for name, one in of_name.items()}


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


def _equal_samples(
    rows: Sequence[Row], cells: Sequence[Mapping[str, Address]], root: Path, texts: Collection[str]
) -> dict[int, Key]:
    """Place of a row -> what it shares with others: where all its cells are texts or rows of arrays, their values.

    `cells`: what the others name.
    """
    candidates = [k for k, own in enumerate(cells) if all(a.row is not None for a in own.values())]
    if not candidates:
        return {}
    values: dict[int, tuple[bytes, ...]] = dict.fromkeys(candidates, ())
    for modality in dict.fromkeys(m for place in candidates for m in rows[place].paths):
        for place in watched(candidates, f"values of {modality}", len(candidates), "samples"):
            cell = rows[place].paths.get(modality)
            values[place] += (_ABSENT if cell is None else _value(cell, root, modality in texts),)
        parts: dict[tuple[bytes, ...], list[int]] = defaultdict(list)
        for place in candidates:
            if values[place][-1]:
                parts[values[place]].append(place)
        candidates = [place for part in parts.values() if len(part) > 1 for place in part]
    return {place: values[place] for place in candidates}


def _value(cell: str, root: Path, is_text: bool) -> bytes:
    """A digest of the text or vector of `cell`; nothing where there is none: extract then says why."""
    from ambidex.data.media.container import MediaError
    from ambidex.data.media.texts import read_text_cell
    from ambidex.data.media.vectors import read_vector

    try:
        if is_text:
            return hashlib.sha256(read_text_cell(cell, root).encode()).digest()
        return hashlib.sha256(read_vector(cell, root).tobytes()).digest()
    except (MediaError, OSError, ValueError):
        return b""
