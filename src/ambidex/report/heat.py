"""Heat maps with numbers in their cells: what dots cannot show for many modalities or classes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ambidex.report import theme

NUMBERED = 16
"""columns up to which a cell is wide enough for its number"""
DARK = 0.2
"""relative luminance of a cell below which white text has more contrast than dark text"""


def heat_map(
    axes: Axes,
    values: NDArray[np.float64],
    rows: Sequence[str],
    columns: Sequence[str],
    limits: tuple[float, float],
    palette: str = "Blues",
    shown: NDArray[np.float64] | None = None,
    digits: int = 0,
    width: float = 8.0,
) -> Any:
    """Draw `values` [R, K] as shades, NaN left white; in each cell its number from `shown` (default: `values`).

    `width`: inches that the columns' names may take together. Returns the image, for a colour bar.
    """
    image = axes.imshow(values, cmap=palette, vmin=limits[0], vmax=limits[1], aspect="auto")
    axes.grid(visible=False)
    rows, columns = [theme.short(name) for name in rows], [theme.short(name) for name in columns]
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(axis="y", length=0)
    rotation = 90 if max(map(len, columns), default=0) * 0.08 > width / max(len(columns), 1) - 0.05 else 0
    axes.set_xticks(range(len(columns)), columns, rotation=rotation)
    if len(columns) <= NUMBERED:
        numbers = values if shown is None else shown
        for (row, column), value in np.ndenumerate(numbers):
            if np.isfinite(value):
                tone = "white" if _luminance(image, float(values[row, column])) < DARK else theme.INK
                axes.text(
                    column, row, f"{value:.{digits}f}", ha="center", va="center", fontsize=8.5, color=tone
                )
    return image


def _luminance(image: Any, value: float) -> float:
    """Relative luminance of the cell's colour (WCAG), 0 black to 1 white."""
    colour = np.array(image.cmap(image.norm(value))[:3])
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))
