"""One look for every chart: a palette safe for colour-blind readers, and a second cue (marker, hatch) for print."""

from collections.abc import Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ambidex.base.errors import one_line

# Okabe and Ito (2008), ordered so that neighbours differ in lightness too: the chart survives a grey print. From the
# seventh on their dark shades: there marker, hatch and line tell apart what a colour-blind eye may not.
PALETTE = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00",
    "#004B75", "#8A5F00", "#005F45", "#8C3F68", "#2F6F94", "#7F3800",
)  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h", "*", "p")
HATCHES = ("", "////", "....", "xx", "\\\\\\\\", "++", "oo", "---", "|||", "**", "//..", "xx..")
LINES: tuple[Any, ...] = (
    "-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)),
    (0, (8, 2)), (0, (3, 1, 1, 1)), (0, (6, 1, 1, 1, 1, 1, 1, 1)), (0, (2, 3)), (0, (10, 3, 2, 3)), (0, (4, 4)),
)  # fmt: skip

INK = "#1b1f24"
GREY = "#6b7280"
PALE = "#d8dde3"
FUSED = "#374151"
"""colour of the fused model: no modality has it"""
GOOD = "#00755a"
BAD = "#b03a00"

RC: Any = {
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": PALE,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "text.parse_math": False,  # a class may be called "$5_a$"
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "hatch.linewidth": 0.6,
    "errorbar.capsize": 3,
    "figure.constrained_layout.w_pad": 0.06,
    "figure.constrained_layout.h_pad": 0.06,
}

WIDTH = 9.6
"""inches: the width of a full-width chart"""


def style() -> Any:
    """A context in which every figure gets the look; nothing outside it is changed."""
    return rc_context(RC)


def figure(width: float = WIDTH, height: float = 3.6) -> Figure:
    """An empty figure whose parts are laid out without overlap; sizes in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def colour(index: int) -> str:
    """Colour of modality number `index`."""
    return PALETTE[index % len(PALETTE)]


def marker(index: int) -> str:
    """Marker of modality number `index`."""
    return MARKERS[index % len(MARKERS)]


def hatch(index: int) -> str:
    """Hatch of modality number `index`."""
    return HATCHES[index % len(HATCHES)]


def line(index: int) -> Any:
    """Line style of modality number `index`."""
    return LINES[index % len(LINES)]


def dot(index: int) -> dict[str, Any]:
    """Look of a single point of modality number `index`: a dark edge, for some colours are pale on white."""
    return {"marker": marker(index), "color": colour(index), "markeredgecolor": INK, "markeredgewidth": 0.6}


def certainty(clarity: str, tone: str) -> dict[str, Any]:
    """Look of a difference by `clarity.Clarity`: full where it is clear, half where on its own alone, else hollow."""
    if clarity == "same":
        return {"color": tone, "markerfacecolor": "white"}
    return {
        "color": tone,
        "fillstyle": "left" if clarity == "alone" else "full",
        "markerfacecoloralt": "white",
    }


def offset(index: int, count: int) -> float:
    """How far below the middle of its row the point of number `index` of `count` stands, so that intervals part."""
    return 0.2 * (index - (count - 1) / 2)


def interval(axes: Axes, low: float, high: float, y: float, colour: str, width: float = 1.1) -> None:
    """A 95 % interval as a line behind its point."""
    axes.plot(
        [low, high], [y, y], color=colour, linewidth=width, solid_capstyle="butt", zorder=1.8, gid="interval"
    )


def pitch(rows: int) -> float:
    """Inches from one row to the next: many rows stand closer."""
    return 0.27 if rows <= 12 else 0.21


def rows_height(rows: int, each: float = 0.3, least: float = 2.4, extra: float = 1.2) -> float:
    """Inches that a chart with one row for each of `rows` items needs."""
    return max(least, extra + each * rows)


def panels(grid: Any, used: int) -> list[Axes]:
    """The first `used` axes of a grid [R, K] that shares its axes; spare ones vanish, those above get ticks."""
    columns = grid.shape[1]
    for place, axes in enumerate(grid.flat):
        axes.set_visible(place < used)
        if place < used <= place + columns:
            axes.tick_params(axis="x", labelbottom=True)
    return list(grid.flat)[:used]


def legend_above(target: Axes | Figure, handles: Sequence[Any] | None = None, columns: int = 6) -> None:
    """A legend outside the drawing area, so that it never covers data."""
    options = {"handles": list(handles)} if handles is not None else {}
    if isinstance(target, Figure):
        target.legend(loc="outside upper left", ncols=columns, **options)
    else:
        target.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, borderaxespad=0.2, **options)


def rows_axis(axes: Axes, labels: Sequence[str]) -> None:
    """One labelled row per item, the first on top; no grid lines across the rows."""
    axes.set_yticks(range(len(labels)), [short(label) for label in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def short(name: str) -> str:
    """A name as a chart has room for it: one line, at most 32 characters."""
    return one_line(name, 32)


def crowded(classes: Sequence[str], limit: int = 42) -> bool:
    """Whether class names must be turned to stand beside each other under an axis."""
    return sum(len(name) + 2 for name in classes) > limit
