"""Training curves from history.csv: losses and accuracies by epoch."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from ambidex.report import theme
from ambidex.report.chart import Chart

History = Sequence[Mapping[str, str]]
MOST = 8
"""curves in one panel; more cannot be told apart"""
FUSED = "fused"
SAMPLES = "train/samples"


def history_chart(history: History, modalities: Sequence[str], epoch: int | None) -> Chart | None:
    """Losses and accuracies by epoch, from rows of history.csv; None where there is nothing to draw.

    `epoch`: the one whose weights were kept, counted as history.csv does: from 1, in models of old from 0.
    Columns: `train/loss/<term>`, `val/nll`,
    `train|val/accuracy/<fused or modality>`, and `train/samples` where a method trains on samples more than once.
    """
    history, epoch = _from_1(history, epoch)
    columns = list(history[0]) if history else []
    losses = [c for c in columns if c.startswith("train/loss/") or c == "val/nll"][:MOST]
    accuracies = [c for c in columns if "/accuracy/" in c]
    if not losses and not accuracies:
        return None
    entries = max(len(losses), 1 + len(modalities))
    figure = theme.figure(height=3.5 + 0.2 * -(-entries // 3))
    left, right = figure.subplots(1, 2)
    for name in losses:
        label = name.removeprefix("train/loss/").replace("val/nll", "NLL on val")
        _curve(left, history, name, 1.0, label, _look(label, modalities, losses.index(name)))
    for name in accuracies:
        split, _, who = name.split("/", 2)
        faint = {"linestyle": "--", "alpha": 0.5, "marker": ""} if split == "train" else {"linestyle": "-"}
        other = name.replace("train/", "val/", 1)
        label = f"_{who}" if split == "train" and other in accuracies else who
        _curve(right, history, name, 100.0, label, _look(who, modalities) | faint)
    for axes, unit in ((left, "training loss by term (nats)"), (right, "accuracy (%)")):
        axes.set_ylabel(unit)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        if epoch is not None:
            axes.axvline(epoch, color=theme.GREY, linewidth=1)
        if any(not str(line.get_label()).startswith("_") for line in axes.lines):
            theme.legend_above(axes, columns=3)
    shown = [*losses, *accuracies, *(c for c in columns if c == SAMPLES)]
    last = history[-1]
    numbers = ", ".join(f"{c} {float(last[c]):.3f}" for c in [*losses, *accuracies] if last.get(c))
    return Chart(
        "history",
        _title(history, epoch),
        figure,
        f"Training curves over {len(history)} epochs{_lengths(history)}; at the end: {numbers}.",
        "Losses left, accuracies right (dashed: training split, solid: the split that selects); the vertical line "
        "marks the epoch whose weights were kept. A modality whose curve stays flat while the fused one rises has "
        "been left behind.",
        [{"epoch": row["epoch"], **{c: row.get(c, "") for c in shown}} for row in history],
    )


def _from_1(history: History, epoch: int | None) -> tuple[History, int | None]:
    """Epochs counted from 1."""
    if not history or history[0].get("epoch") != "0":
        return history, epoch
    rows = [{**row, "epoch": str(int(row["epoch"]) + 1)} for row in history]
    return rows, None if epoch is None else epoch + 1


def _lengths(history: History) -> str:
    """How long the epochs are that a method resampled; a fair comparison takes as many steps, not epochs."""
    counts = [int(row[SAMPLES]) for row in history if row.get(SAMPLES)]
    if not counts:
        return ""
    return f", {len(counts)} of them resampled to {min(counts)} to {max(counts)} samples"


def _title(history: History, epoch: int | None) -> str:
    """Which epoch was kept, and what the selecting split said about the fused model there."""
    rows = {row["epoch"]: row for row in history}
    if epoch is None or str(epoch) not in rows:
        return f"Training over {len(history)} epochs"
    title = f"Epoch {epoch} of {len(history)} was kept"
    accuracy = rows[str(epoch)].get(f"val/accuracy/{FUSED}")
    return f"{title}, with {100 * float(accuracy):.1f} % right on validation" if accuracy else title


def _look(name: str, modalities: Sequence[str], index: int = 0) -> dict[str, Any]:
    """A modality keeps its look in all charts; whatever belongs to none is dark, told apart by its line."""
    if name in modalities:
        place = list(modalities).index(name)
        return {"color": theme.colour(place), "marker": theme.marker(place), "linestyle": "-"}
    return {"color": theme.FUSED, "marker": "*", "linestyle": theme.line(index)}


def _curve(axes: Axes, history: History, name: str, factor: float, label: str, look: dict[str, Any]) -> None:
    points = [(float(row["epoch"]), factor * float(row[name])) for row in history if row.get(name)]
    if points:
        x, y = zip(*points, strict=True)
        axes.plot(x, y, markersize=4, label=label, **look)
