"""A chart: a drawing, the rows behind it, a title that says what is seen, and in two sentences how to read it."""

import base64
import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ambidex.base.files import write_bytes, write_csv

DPI = 160
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Chart:
    """One chart of a report. `name` is its file name: plots/<name>.png and plots/<name>.csv."""

    name: str
    title: str
    figure: Figure
    alt: str
    """what is seen, in words, with its main numbers: for a reader who does not see the picture"""
    how: str = ""
    """how to read it"""
    rows: Sequence[Row] = field(default_factory=list)
    """the numbers drawn, for `dvc plots` and for anyone who wants to draw them again"""


@dataclass(frozen=True)
class Drawn:
    """A chart that was drawn: the picture for a web page, still without any file to refer to."""

    name: str
    title: str
    alt: str
    how: str
    width: int
    """CSS pixels"""
    png: bytes
    """the picture, as it stands in plots/"""

    @property
    def source(self) -> str:
        """Data URI of the picture."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


def draw(chart: Chart, folder: Path) -> Drawn:
    """Write `chart` as PNG and CSV into `folder`, and return the picture for the page: one drawing serves both."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a class named in a script that the font lacks
        png = _png(chart.figure)
    write_bytes(folder / f"{chart.name}.png", png)
    if chart.rows:
        write_csv(folder / f"{chart.name}.csv", [rounded(row) for row in chart.rows])
    width = round(float(chart.figure.get_figwidth()) * 113)
    return Drawn(chart.name, chart.title, chart.alt, chart.how, width, png)


def rounded(row: Row) -> dict[str, Any]:
    """Floats at 6 significant digits: a file that is read, compared and versioned needs no more."""
    return {key: float(f"{value:.6g}") if isinstance(value, float) else value for key, value in row.items()}


def _png(figure: Figure) -> bytes:
    """Straight to the canvas: `Figure.savefig` would draw everything a second time to find its size."""
    stream = io.BytesIO()
    figure.dpi = DPI
    canvas: Any = FigureCanvasAgg(figure)
    canvas.print_png(stream, metadata={"Software": None})
    canvas.renderer = None  # its pixels; figure and canvas hold one another until some later collection
    return stream.getvalue()
