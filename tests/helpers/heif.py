"""Photographs as phones write them: an AVIF file whose picture is made of tiles, built box by box."""

import struct
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

TILE = 64
"""height and width of a tile"""


def write_avif(path: Path, picture: NDArray[np.uint8]) -> Path:
    """Write one picture [H, W, 3], without tiles."""
    with av.open(str(path), "w", format="avif") as container:
        stream = container.add_stream("libsvtav1", rate=1, options={"crf": "20", "svtav1-params": "avif=1"})
        stream.height, stream.width, stream.pix_fmt = picture.shape[0], picture.shape[1], "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24").reformat(format="yuv420p")
        for part in (frame, None):
            container.mux(stream.encode(part))
    return path


def write_tiles(path: Path, tiles: list[NDArray[np.uint8]]) -> Path:
    """Write one picture made of `tiles` [TILE, TILE, 3] side by side."""
    files = [write_avif(path.with_name(f"tile{k}.avif"), tile).read_bytes() for k, tile in enumerate(tiles)]
    coded = [_inside(file, b"mdat") for file in files]
    count = len(coded)
    grid = struct.pack(">BBBBHH", 0, 0, 0, count - 1, TILE * count, TILE)
    items = [_item(1, b"grid"), *(_item(k + 2, b"av01", hidden=True) for k in range(count))]
    sizes = [struct.pack(">IIII", 0, TILE, TILE, 0)[:12], struct.pack(">III", 0, TILE * count, TILE)]
    boxes = [_box(b"av1C", _inside(files[0], b"av1C")), *(_box(b"ispe", size) for size in sizes)]
    uses = [(1, [3]), *((k + 2, [1, 2]) for k in range(count))]
    ipma = struct.pack(">II", 0, len(uses)) + b"".join(
        struct.pack(">HB", item, len(which)) + bytes(which) for item, which in uses
    )
    dimg = _box(b"dimg", struct.pack(f">HH{count}H", 1, count, *range(2, count + 2)))

    def meta(start: int) -> bytes:
        places = [(1, 1, 0, len(grid))]
        for k, data in enumerate(coded):
            places.append((k + 2, 0, start + sum(map(len, coded[:k])), len(data)))
        iloc = struct.pack(">IBBH", 1 << 24, 0x44, 0, len(places)) + b"".join(
            struct.pack(">HHHHII", item, method, 0, 1, place, size) for item, method, place, size in places
        )
        return _box(
            b"meta",
            struct.pack(">I", 0)
            + _box(b"hdlr", struct.pack(">II4s12xB", 0, 0, b"pict", 0))
            + _box(b"pitm", struct.pack(">IH", 0, 1))
            + _box(b"iloc", iloc)
            + _box(b"iinf", struct.pack(">IH", 0, len(items)) + b"".join(items))
            + _box(b"iref", struct.pack(">I", 0) + dimg)
            + _box(b"iprp", _box(b"ipco", b"".join(boxes)) + _box(b"ipma", ipma))
            + _box(b"idat", grid),
        )

    head = _box(b"ftyp", b"avif\0\0\0\0avifmif1miaf")
    start = len(head) + len(meta(0)) + 8
    path.write_bytes(head + meta(start) + _box(b"mdat", b"".join(coded)))
    return path


def _box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + name + body


def _item(number: int, kind: bytes, hidden: bool = False) -> bytes:
    return _box(b"infe", struct.pack(">IHH4sB", 2 << 24 | hidden, number, 0, kind, 0))


def _inside(data: bytes, name: bytes) -> bytes:
    """The content of the first box called `name`, at any depth."""
    place = data.index(name)
    (size,) = struct.unpack_from(">I", data, place - 4)
    return data[place + 4 : place - 4 + size]
