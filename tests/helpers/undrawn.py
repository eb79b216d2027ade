"""Charts without their drawing: every file is there, and its picture is a single pixel."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PNG = b"".join(
    (
        b"\x89PNG\r\n\x1a\n",
        _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)),
        _chunk(b"IDAT", zlib.compress(b"\0\0")),
        _chunk(b"IEND", b""),
    )
)


@contextmanager
def undrawn() -> Iterator[None]:
    """Within, `ambidex.report.chart.draw` lays nothing out."""
    with patch("ambidex.report.chart._png", lambda figure: PNG):
        yield
