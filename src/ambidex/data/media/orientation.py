"""Which way is up: the display matrix of a film and the EXIF orientation of a photograph."""

import re
import struct
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

_SEGMENT = re.compile(rb"\xff+([\x01-\xfe])", re.DOTALL)
_TAG = 0x0112  # orientation, in the first directory of EXIF


@dataclass(frozen=True)
class Turn:
    """How a stored picture becomes the one to be shown: mirrored along both axes as said, then transposed.

    `transpose` swaps rows and columns; `flip_rows` and `flip_columns` reverse them before that.
    """

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def apply(self, picture: NDArray[Any]) -> NDArray[Any]:
        """`picture` [height, width, channels] turned: [width, height, channels] where `transpose` holds."""
        rows, columns = (
            slice(None, None, -1 if self.flip_rows else 1),
            slice(None, None, -1 if self.flip_columns else 1),
        )
        turned = picture[rows, columns]
        return turned.swapaxes(0, 1) if self.transpose else turned


UPRIGHT = Turn()
# EXIF 1 to 8 names the side of the scene that the first row and the first column of the stored picture show.
_EXIF = {
    2: Turn(flip_columns=True),
    3: Turn(flip_rows=True, flip_columns=True),
    4: Turn(flip_rows=True),
    5: Turn(transpose=True),
    6: Turn(transpose=True, flip_rows=True),
    7: Turn(transpose=True, flip_rows=True, flip_columns=True),
    8: Turn(transpose=True, flip_columns=True),
}


def turn_of(frame: Any, packet: Any) -> Turn:
    """How the decoded `frame` is turned upright. `packet`: the one it was decoded from, which holds its EXIF."""
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV 18 has no name for EXIF among the side data, and gives none at all then
        return _EXIF.get(exif_orientation(bytes(packet)), UPRIGHT)
    return UPRIGHT if matrix is None else _of_matrix(struct.unpack("=9i", bytes(matrix)[:36]))


def exif_orientation(data: bytes) -> int:
    """The EXIF orientation, 1 to 8, of a jpg, png, webp or tiff; 1 where it states none."""
    try:
        value = _in_directory(_exif(data))
    except (struct.error, IndexError):  # EXIF that ends early or points outside itself
        return 1
    return value if 1 <= value <= 8 else 1


def _of_matrix(matrix: tuple[int, ...]) -> Turn:
    """A stored point (x, y) is shown at (a x + c y, b x + d y); a, b, c, d = matrix[0, 1, 3, 4]."""
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Turn(flip_rows=d < 0, flip_columns=a < 0)
    return Turn(transpose=True, flip_rows=c < 0, flip_columns=b < 0)


def _exif(data: bytes) -> bytes:
    """The EXIF block, which is a small tiff; empty where there is none."""
    if data.startswith((b"II*\0", b"MM\0*")):
        return data
    if data.startswith(b"\xff\xd8"):
        return _jpeg_exif(data)
    if data.startswith(b"\x89PNG"):
        return _chunk(data, 8, b"eXIf", ">I4s", padded=False)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _chunk(data, 12, b"EXIF", "<4sI", padded=True).removeprefix(b"Exif\0\0")
    return b""


def _jpeg_exif(data: bytes) -> bytes:
    place = 2
    while mark := _SEGMENT.match(data, place):
        length = int.from_bytes(data[mark.end() : mark.end() + 2], "big")
        body = data[mark.end() + 2 : mark.end() + length]
        if mark[1] == b"\xe1" and body.startswith(b"Exif\0\0"):
            return body[6:]
        if mark[1] in b"\xda\xd9" or length < 2:  # the picture itself begins, or the file is damaged
            break
        place = mark.end() + length
    return b""


def _chunk(data: bytes, place: int, name: bytes, head: str, padded: bool) -> bytes:
    """The first chunk called `name` of a png or RIFF file."""
    while place + 8 <= len(data):
        first, second = struct.unpack_from(head, data, place)
        chunk_name, size = (second, first) if isinstance(first, int) else (first, second)
        body = data[place + 8 : place + 8 + size]
        if chunk_name == name:
            return body
        place += 8 + size + (size & 1 if padded else 4)  # a png chunk ends with its checksum
    return b""


def _in_directory(tiff: bytes) -> int:
    order = "<" if tiff.startswith(b"II") else ">"
    if not tiff:
        return 1
    (place,) = struct.unpack_from(f"{order}I", tiff, 4)
    (entries,) = struct.unpack_from(f"{order}H", tiff, place)
    for entry in range(entries):
        tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, place + 2 + 12 * entry)
        if tag == _TAG and kind == 3:
            return int(value)
    return 1
