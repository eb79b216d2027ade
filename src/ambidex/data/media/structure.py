"""How many bytes a file lacks by its own outermost structure: elements, pages and markers that begin but do not end.

Only formats that FFmpeg reads to whatever end there is, without a word.
"""

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import BinaryIO

from ambidex.base.files import open_regular

_UNKNOWN_RIFF = 0x7FFF_0000  # sizes from here on, and 0, mean "written to a pipe, length unknown"
_UNKNOWN_AVI = 0xFFFF_0000
_PAGE = 65_307  # bytes of the largest Ogg page
_TS_PACKETS = ((188, 0), (192, 4), (204, 0))  # length, and where the sync byte stands in it
_SYNC = 0x47
_SCAN_END = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]", re.DOTALL)  # a marker that is not part of a scan


def missing_bytes(path: Path, names: Collection[str]) -> int | None:
    """How many bytes `path` lacks at its end, at least: 0 where it is whole, None where its structure does not tell.

    `names`: of its format. Raises OSError.
    """
    names = {"still picture" if is_still(name) else name for name in names}
    for name, missing in _STRUCTURES.items():
        if name in names:
            with open_regular(path) as stream:
                return missing(stream, path.stat().st_size)
    return None


def is_still(name: str) -> bool:
    """Whether a format of this name is one picture."""
    return name == "image2" or name.endswith("_pipe")


def _riff(stream: BinaryIO, size: int) -> int | None:
    """Missing bytes of a wav's samples; its other chunks may be damaged or end early."""
    if stream.read(12)[:4] != b"RIFF":
        return None
    while len(head := stream.read(8)) == 8:
        length = int.from_bytes(head[4:], "little")
        if head[:4] == b"data":
            has_length = 0 < length < _UNKNOWN_RIFF
            return max(stream.tell() + length - size, 0) if has_length else 0
        stream.seek(length + (length & 1), 1)
    return 0


def _aiff(stream: BinaryIO, size: int) -> int | None:
    """Missing bytes of its samples."""
    if stream.read(12)[:4] != b"FORM":
        return None
    while len(head := stream.read(8)) == 8:
        length = int.from_bytes(head[4:], "big")
        if head[:4] == b"SSND":
            return max(stream.tell() + length - size, 0)
        stream.seek(length + (length & 1), 1)
    return None


def _au(stream: BinaryIO, size: int) -> int | None:
    """Missing bytes of its samples; a length of which every bit is set is unknown."""
    head = stream.read(12)
    start, length = (int.from_bytes(head[k : k + 4], "big") for k in (4, 8))
    return max(start + length - size, 0) if length < 2**32 - 1 else 0


def _avi(stream: BinaryIO, size: int) -> int | None:
    """Missing bytes of the last of its RIFF elements, of which a long file has several."""
    end = 0
    while True:
        stream.seek(end)
        head = stream.read(8)
        length = int.from_bytes(head[4:], "little")
        if len(head) < 8 or head[:4] != b"RIFF" or not 0 < length < _UNKNOWN_AVI:
            return max(end - size, 0) if end else None
        end += 8 + length + (length & 1)


def _ogg(stream: BinaryIO, size: int) -> int | None:
    """Missing bytes of the last page."""
    stream.seek(max(size - 2 * _PAGE, 0))
    tail = stream.read()
    page = tail[max(tail.rfind(b"OggS"), 0) :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return 1
    return max(27 + page[26] + sum(page[27 : 27 + page[26]]) - len(page), 0)


def _mp3(stream: BinaryIO, size: int) -> int | None:
    """By the count of bytes that encoders write into the first frame; up to a frame may be missing."""
    head = stream.read(10)
    start = 0
    if head.startswith(b"ID3") and len(head) == 10:
        start = 10 + sum(
            (byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True)
        )
    stream.seek(start)
    first = stream.read(192)
    mark = max(first.find(b"Xing"), first.find(b"Info"))
    if mark < 0 or len(first) < mark + 16 or first[mark + 7] & 3 != 3:
        return None
    frames, length = (int.from_bytes(first[mark + k : mark + k + 4], "big") for k in (8, 12))
    missing = start + length - size
    return missing if frames and missing > length // frames else 0


def _ts(stream: BinaryIO, size: int) -> int | None:
    """Missing bytes of the last packet, whose length is fixed; what does not begin like a packet is none."""
    head = stream.read(2048)
    for start in range(256):
        for length, sync in _TS_PACKETS:
            places = range(start + sync, len(head), length)
            if len(places) > 2 and all(head[place] == _SYNC for place in places):
                rest = (size - start) % length
                stream.seek(size - rest + sync)
                return length - rest if rest and stream.read(1) == bytes([_SYNC]) else 0
    return None


def _mpeg(stream: BinaryIO, size: int) -> int | None:
    """Missing bytes of the last packet, by the length that each packet states."""
    while len(head := stream.read(6)) == 6:
        if head[:3] != b"\0\0\1" or head[3] < 0xB9:
            return None  # zeros behind the end, or damage: the decoder says so
        if head[3] == 0xB9:
            return 0
        if head[3] != 0xBA:
            stream.seek(int.from_bytes(head[4:6], "big"), 1)
        elif head[4] & 0xC0 == 0x40:  # the head of an MPEG-2 pack, with stuffing
            stream.seek((stream.read(8)[-1:] or b"\0")[0] & 7, 1)
        else:
            stream.seek(6, 1)
    return max(stream.tell() - size, 0)


def _gif(stream: BinaryIO, size: int) -> int | None:
    """Missing bytes of the last block; the file may lack the mark of its end."""
    head = stream.read(13)
    if len(head) < 13:
        return 1
    stream.seek(_colours(head[10]), 1)
    while kind := stream.read(1):
        if kind == b";":
            return 0
        if kind == b",":
            descriptor = stream.read(9)
            stream.seek(_colours(descriptor[-1]) + 1 if len(descriptor) == 9 else 0, 1)
        else:
            stream.seek(1, 1)
        while length := stream.read(1)[:1]:
            if not length[0]:
                break
            stream.seek(length[0], 1)
        else:
            return max(stream.tell() - size, 0) + 1
    return max(stream.tell() - size, 0)


def _colours(flags: int) -> int:
    """Bytes of a colour table."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _still(stream: BinaryIO, size: int) -> int | None:
    """Missing bytes of one picture; what follows its end does not count."""
    head = stream.read(16)
    if head.startswith(b"\xff\xd8"):
        stream.seek(0)
        return _jpeg(stream.read())
    if head.startswith(b"\x89PNG"):
        return _png(stream, size)
    if head.startswith(b"RIFF"):
        return max(8 + int.from_bytes(head[4:8], "little") - size, 0)
    return None


def _jpeg(data: bytes) -> int | None:
    place, scanned = 2, False
    while place + 1 < len(data):
        mark = _SCAN_END.match(data, place)
        if mark is None:
            return 0  # no marker where one must be: damaged, and no sign of a cut
        kind = data[mark.end() - 1]
        if kind == 0xD9:
            return 0
        place = mark.end() + int.from_bytes(data[mark.end() : mark.end() + 2], "big")
        if kind == 0xDA:
            scanned = True
            following = _SCAN_END.search(data, place)
            if following is None:
                return 2
            place = following.start()
        elif place > len(data) and scanned:
            return 0  # a marker that damage made up in a scan
    return max(place - len(data), 0) + 2


def _png(stream: BinaryIO, size: int) -> int | None:
    stream.seek(8)
    while len(head := stream.read(8)) == 8:
        stream.seek(int.from_bytes(head[:4], "big") + 4, 1)
        if head[4:] == b"IEND":
            return 0
    return max(stream.tell() - size, 0) + 12


def _matroska(stream: BinaryIO, size: int) -> int | None:
    """Missing bytes of the segment, the one element that holds all but the header."""
    for _ in range(2):
        name = stream.read(4)
        length = _ebml_length(stream)
        if length is None:
            return None
        if name == b"\x18\x53\x80\x67":
            return max(stream.tell() + length - size, 0)
        stream.seek(length, 1)
    return None


def _mov(stream: BinaryIO, size: int) -> int | None:
    """Missing bytes of an index; the file may state more media data than it has."""
    place = 0
    while len(head := stream.read(8)) == 8:
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(stream.read(8), "big")
        if head[4:] in (b"moov", b"moof") and place + length > size:
            return place + length - size
        if length < 8:
            break
        place += length
        stream.seek(place)
    return 0


def _ebml_length(stream: BinaryIO) -> int | None:
    """The next number of variable length; None where it is missing or means unknown."""
    first = stream.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()
    rest = stream.read(more)
    value = int.from_bytes(bytes([first[0] & (0x7F >> more)]) + rest, "big")
    return None if len(rest) < more or value == (1 << 7 * (more + 1)) - 1 else value


_STRUCTURES: dict[str, Callable[[BinaryIO, int], int | None]] = {
    "wav": _riff,
    "aiff": _aiff,
    "au": _au,
    "avi": _avi,
    "ogg": _ogg,
    "mp3": _mp3,
    "mpeg": _mpeg,
    "mpegts": _ts,
    "gif": _gif,
    "still picture": _still,
    "matroska": _matroska,
    "mov": _mov,
}
