"""What the header of a still picture says: how large it is, and whether it is of a form that cannot be decoded."""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from ambidex.data.media.container import MediaError
from ambidex.data.media.limits import MEBIBYTE

_BYTES_PER_PIXEL = 8  # decoded and converted at the same time
_PAGES = 64  # of a TIFF that are looked at
_REDUCED = 1  # bit of NewSubfileType: a smaller version of another page


def check_picture(head: bytes, stream: BinaryIO, most: int) -> None:
    """Raise MediaError where the picture in `stream` is not supported, or would take more than `most` bytes decoded.

    `head`: the first 4096 bytes. What is no picture of a known kind passes.
    """
    width = height = 0
    if head.startswith(b"\x89PNG\r\n\x1a\n") and head[12:16] == b"IHDR":
        width, height = struct.unpack_from(">II", head, 16)
        if head[24] == 16 and b"acTL" in head:
            raise MediaError("not supported: an animated PNG of 16 bits; convert it to a video or to 8 bits")
    elif head.startswith(b"RIFF") and head[8:16] == b"WEBPVP8X":
        if head[20] & 2:
            raise MediaError("not supported: an animated WebP; convert it to a video, or to one picture")
        width, height = (int.from_bytes(head[k : k + 3], "little") + 1 for k in (24, 27))
    elif head.startswith((b"GIF87a", b"GIF89a")):
        width, height = struct.unpack_from("<HH", head, 6)
    elif head.startswith(b"BM") and len(head) >= 26:
        width, height = map(abs, struct.unpack_from("<ii", head, 18))
    elif head.startswith((b"II*\0", b"MM\0*")):
        width, height = _tiff(stream, "<" if head.startswith(b"II") else ">")
    elif head.startswith((b"II+\0", b"MM\0+")):
        raise MediaError("not supported: a BigTIFF; convert it to a picture of an ordinary kind")
    elif head.startswith(b"\xff\xd8\xff"):
        width, height = _jpeg(stream)
    if width * height * _BYTES_PER_PIXEL > most:
        raise MediaError(
            f"its picture of {width} x {height} needs more memory than extract.megabytes_per_file allows "
            f"({most // MEBIBYTE})"
        )


def _jpeg(stream: BinaryIO) -> tuple[int, int]:
    """Width and height by the header of the first frame; 0, 0 where there is none."""
    stream.seek(2)
    while len(mark := stream.read(4)) == 4 and mark[0] == 0xFF:
        kind, length = mark[1], int.from_bytes(mark[2:], "big")
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            _, height, width = struct.unpack(">BHH", stream.read(5).ljust(5, b"\0"))
            return width, height
        if kind == 0xDA or length < 2:
            break
        stream.seek(length - 2, 1)
    return 0, 0


def _tiff(stream: BinaryIO, order: str) -> tuple[int, int]:
    """Width and height of the first page. Raises MediaError for a second one that is no smaller version of it."""
    pages = list(_tiff_pages(stream, order))
    if any(not page.get(254, 0) & _REDUCED for page in pages[1:]):
        raise MediaError("not supported: a TIFF of several pages; keep one page in a file")
    return (pages[0].get(256, 0), pages[0].get(257, 0)) if pages else (0, 0)


def _tiff_pages(stream: BinaryIO, order: str) -> Iterator[dict[int, int]]:
    """Tag -> value of each page; tags of one number only."""
    place = 4
    for _ in range(_PAGES):
        stream.seek(place)
        start = int.from_bytes(stream.read(4), "little" if order == "<" else "big")
        if not start:
            return
        stream.seek(start)
        count = int.from_bytes(stream.read(2), "little" if order == "<" else "big")
        entries = stream.read(12 * count)
        tags = {}
        for tag, kind, _, value in struct.iter_unpack(order + "HHI4s", entries[: len(entries) // 12 * 12]):
            tags[tag] = struct.unpack(order + ("H" if kind == 3 else "I"), value[: 2 if kind == 3 else 4])[0]
        if len(entries) < 12 * count or not count:
            return
        yield tags
        place = start + 2 + 12 * count
