"""A study over severities in words, and as a table for the terminal."""

from collections.abc import Iterator, Sequence

from ambidex.report.severity.points import (
    ACCURACY,
    IMBALANCE,
    NLL,
    Estimate,
    Line,
    best_alone,
    paired,
    share_of,
)
from ambidex.report.study.rows import PLAIN_SUM
from ambidex.report.study.table import aligned
from ambidex.report.words import number

LEGEND = (
    "Means over seeds on test with half the width of the 95 % interval (Student's t), for new seeds on these test\n"
    "samples: accuracy in %, then the share of {modality} in the decision in %. change, share: of both from the\n"
    "lowest severity to the highest, in points, paired by seed. Intervals are not corrected for their number."
)


def table(lines: Sequence[Line], singles: Sequence[Line], modality: str) -> str:
    """A line for the plain sum and the headline of each method, and for each modality trained alone.

    `modality`: the one whose share is shown.
    """
    severities = list(lines[0].seeds)
    head = ["", *(f"{severity:g}" for severity in severities), "change", "share", ""]
    rows: list[list[str]] = []
    regime = ""
    for line in _main(lines):
        if line.regime != regime:
            regime = line.regime
            rows.append([f"{regime}:"])
        change = line.change(ACCURACY, severities[0], severities[-1])
        moved = line.change(share_of(modality), severities[0], severities[-1])
        cells = [_cell(line, severity, modality) for severity in severities]
        rows.append(
            [
                f"  {line.method} + {line.allocator}",
                *cells,
                _spread(change, sign=True),
                _spread(moved, sign=True),
                "",
            ]
        )
    if singles:
        rows.append(["each modality alone:"])
    for line in singles:
        cells = [_spread(line.at(severity, ACCURACY)) for severity in severities]
        fall = _spread(line.change(ACCURACY, severities[0], severities[-1]), sign=True)
        rows.append([f"  {line.method}", *cells, fall, "", ""])
    return f"{aligned([head, *rows])}\n\n{LEGEND.format(modality=modality)}"


def sentences(lines: Sequence[Line], singles: Sequence[Line], modality: str) -> list[str]:
    """What became of each method from the lowest severity to the highest: accuracy, who decides, what repair does."""
    plain = [line for line in lines if line.allocator == PLAIN_SUM]
    return [
        sentence
        for line in plain
        for sentence in [*_of_method(line, lines, modality), *_against_alone(line, singles)]
    ]


def _of_method(line: Line, lines: Sequence[Line], modality: str) -> Iterator[str]:
    start, *_, end = line.seeds
    ends = [(line.at(s, ACCURACY), line.at(s, share_of(modality))) for s in (start, end)]
    (before, share_before), (after, share_after) = ends
    name = f"{line.method} ({line.regime})"
    if before is None or after is None:
        yield f"{name}: no numbers at severity {start:g} or {end:g}."
        return
    fall = line.change(ACCURACY, start, end)
    text = (
        f"{name}: the plain sum goes from {_percent(before)} at severity {start:g} to {_percent(after)} at {end:g} "
        f"({_points(fall)})"
    )
    if share_before is not None and share_after is not None:
        moved = line.change(share_of(modality), start, end)
        text += f"; {modality} decides {_percent(share_before)} and then {_percent(share_after)} ({_points(moved)})"
    imbalance = [line.at(s, IMBALANCE) for s in (start, end)]
    if (change := line.change(IMBALANCE, start, end)) and all(imbalance):
        ends_of = " and then ".join(f"{one.value:.2f}" for one in imbalance if one)
        text += f"; decision imbalance is {ends_of} ({_with_ends(change, 1, 2, 'DI')})"
    yield f"{text}."
    for other in lines:
        if other.headline and (other.regime, other.method) == (line.regime, line.method):
            yield from _of_repair(name, other, line)


def _of_repair(name: str, ours: Line, plain: Line) -> Iterator[str]:
    """What an allocator changes at every severity."""
    if ours.allocator == PLAIN_SUM:
        return
    parts = [
        f"{_bracketed(_points(gain))} at severity {severity:g}"
        for severity in plain.seeds
        if (gain := paired(ours.seeds[severity], plain.seeds[severity], ACCURACY)) is not None
    ]
    *_, end = plain.seeds
    nats = paired(ours.seeds[end], plain.seeds[end], NLL)
    if parts and nats is not None:
        parts.append(f"{_bracketed(_nats(nats))} at {end:g}")
        yield f"{name}, {ours.allocator} against the plain sum: {'; '.join(parts)}."


def _against_alone(line: Line, singles: Sequence[Line]) -> Iterator[str]:
    """What fusing is worth at both ends."""
    start, *_, end = line.seeds
    parts = []
    for severity in (start, end):
        best = best_alone(singles, severity)
        gain = best and paired(line.seeds[severity], best.seeds[severity], ACCURACY)
        if best and gain:
            parts.append(f"at severity {severity:g} {_bracketed(_points(gain))} against {best.method} alone")
    if parts:
        yield f"{line.method} ({line.regime}), what the plain sum adds to the best modality alone: {'; '.join(parts)}."


def _main(lines: Sequence[Line]) -> list[Line]:
    return [line for line in lines if line.allocator == PLAIN_SUM or line.headline]


def _cell(line: Line, severity: float, modality: str) -> str:
    accuracy, share = line.at(severity, ACCURACY), line.at(severity, share_of(modality))
    return f"{_spread(accuracy)} / {_spread(share)}"


def _spread(one: Estimate | None, sign: bool = False) -> str:
    if one is None:
        return "-"
    text = number(100 * one.value, 1, sign)
    return text if one.high is None else f"{text} ± {100 * (one.high - one.value):.1f}"


def _percent(one: Estimate) -> str:
    return f"{100 * one.value:.1f} %"


def _points(one: Estimate | None) -> str:
    if one is None:
        return "no pair of seeds"
    return _with_ends(one, 100, 1, "points")


def _nats(one: Estimate) -> str:
    return _with_ends(one, 1, 3, "nats of NLL")


def _with_ends(one: Estimate, factor: float, digits: int, unit: str) -> str:
    text = f"{number(factor * one.value, digits, True)} {unit}"
    if one.low is None or one.high is None:
        return f"{text}, one seed"
    low, high = (number(factor * end, digits, True) for end in (one.low, one.high))
    return f"{text}, 95 % interval {low} to {high}, {'clear' if one.clear else 'may be chance'}"


def _bracketed(text: str) -> str:
    """A number with its interval in brackets, so that a sentence can go on behind it."""
    value, comma, interval = text.partition(", ")
    return f"{value} ({interval})" if comma else text
