"""Writing pictures as png, for data sets that change them."""

from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def write_png(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write a picture, [height, width] grey or [height, width, 3] colour."""
    import av

    layout = "gray" if picture.ndim == 2 else "rgb24"
    codec = av.CodecContext.create("png", "w")
    codec.height, codec.width = picture.shape[:2]
    codec.pix_fmt = layout
    codec.time_base = Fraction(1)
    packets = codec.encode(av.VideoFrame.from_ndarray(picture, format=layout)) + codec.encode()
    path.write_bytes(b"".join(bytes(packet) for packet in packets))
