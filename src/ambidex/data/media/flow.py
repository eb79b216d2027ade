"""Optical flow: read from two folders of pictures, or computed between pictures by OpenCV."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ambidex.data.media.container import MediaError
from ambidex.data.media.decode import decode
from ambidex.data.media.foreign import check_file
from ambidex.data.media.requests import Pictures

_LARGEST = 255


def read_flow(cell: str, root: Path, count: int, size: int, most: int) -> NDArray[np.uint8]:
    """Flow [count, 2, size, size] from the pictures of the folder of `cell`, and those of the same names in `v`.

    Pictures are taken at the centres of `count` equal parts of the folder, in the order of their names. Raises
    MediaError: a file missing or no picture.
    """
    first = root / cell
    check_file(first, most)
    names = sorted(path.name for path in first.parent.iterdir() if path.suffix == first.suffix)
    places = [(2 * part + 1) * len(names) // (2 * count) for part in range(count)]
    folders = [Path(cell).parent, _sibling(Path(cell).parent)]
    return np.stack(
        [np.stack([_picture(root / folder / names[k], size, most) for folder in folders]) for k in places]
    )


def _sibling(folder: Path) -> Path:
    """`folder` with its last part `u` made `v`."""
    parts = list(folder.parts)
    parts[len(parts) - 1 - parts[::-1].index("u")] = "v"
    return Path(*parts)


def _picture(path: Path, size: int, most: int) -> NDArray[np.uint8]:
    try:
        check_file(path, most)
        grey: NDArray[np.uint8] = decode(path, [Pictures(1, size, still=True)])[0][0, 0]
    except MediaError as error:
        raise MediaError(f"{path.parent.name}/{path.name}: {error}") from None
    return grey


def computed_flow(pairs: NDArray[np.uint8], method: str, bound: float) -> NDArray[np.uint8]:
    """Pictures [2 * count, 3, H, W] -> flow [count, 2, H, W] from each even one to the next, `bound` pixels at most.

    Raises MediaError where OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError:
        raise MediaError("flow of a film needs `pip install 'ambidex[flow]'`") from None
    cv2.setNumThreads(1)
    grey = [cv2.cvtColor(np.ascontiguousarray(one.transpose(1, 2, 0)), cv2.COLOR_RGB2GRAY) for one in pairs]
    fields = [_field(cv2, one, other, method) for one, other in zip(grey[::2], grey[1::2], strict=True)]
    scaled = (np.stack(fields).transpose(0, 3, 1, 2) / bound + 1) * (_LARGEST / 2)
    flow: NDArray[np.uint8] = np.rint(np.clip(scaled, 0, _LARGEST)).astype(np.uint8)
    return flow


def _field(cv2: Any, one: NDArray[np.uint8], other: NDArray[np.uint8], method: str) -> NDArray[np.float32]:
    """Movement [H, W, 2] in pixels, to the right and down."""
    if method == "dis":
        field: NDArray[np.float32] = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(
            one, other, None
        )
        return field
    field = cv2.calcOpticalFlowFarneback(
        one, other, None, pyr_scale=0.5, levels=3, winsize=15, iterations=3, poly_n=5, poly_sigma=1.2, flags=0
    )
    return field
