"""What a study found at the decision layer as plain text: the diagnosis, the allocators, the verdicts in words."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ambidex.report.study.allocators import MARKS
from ambidex.report.study.methods_table import each
from ambidex.report.study.rows import PLAIN_SUM
from ambidex.report.study.study_file import read_study
from ambidex.report.study.table import aligned
from ambidex.report.words import number

Study = Mapping[str, Any]
_WIDTH = 120
LEGEND = (
    "Of the plain sum, means over seeds, on test. leads: the modality with the largest bias; by: its share in the\n"
    "decision less its share in what the modalities can recognise, with its 95 % interval for new seeds and samples.\n"
    "biased: yes where that is above 0, no where all modalities are within 0.05. DI: decision imbalance, 0 is\n"
    "balanced. follows: how often the decision follows the leading modality where it is wrong and another one right.\n"
    "alone: accuracy of what a modality says inside the model. gap: what a linear probe on the same features gains."
)
ALLOCATORS = (
    "Against the plain sum of the same model: mean differences over the cells (method and regime), and in how many of\n"
    "them accuracy and NLL are clearly better, not clearly different, clearly worse for new seeds on new samples,\n"
    "after correction for all comparisons."
)


def decision_text(study: Path) -> str:
    """All three parts, from what compare wrote. Raises DataError where there is no comparison, or a damaged one."""
    return render_decision(read_study(study))


def render_decision(study: Study) -> str:
    """All three parts, of the content of compare.json."""
    parts = [
        diagnosis(study),
        LEGEND,
        allocators(study["allocators"]),
        ALLOCATORS,
        verdicts(study["verdicts"]),
    ]
    return "\n\n".join(part for part in parts if part)


def diagnosis(study: Study) -> str:
    """A line for each method, grouped by regime; empty where nothing was diagnosed."""
    alone = {(row["method"], row["regime"]): row["branches"] for row in study["methods"]}
    gaps = {
        (r["method"], r["regime"]): r["mean"].get("decision_gap")
        for r in study["rows"]
        if r["allocator"] == PLAIN_SUM
    }
    lines = [["", "leads", "by", "biased", "DI", "follows %", "alone %", "gap points"]]
    regime = ""
    for bias in study["bias"]:
        if bias["regime"] != regime:
            regime = bias["regime"]
            lines.append([f"{regime}:"])
        cell = bias["method"], regime
        lines.append([f"  {bias['method']}", *_diagnosed(bias, alone.get(cell, {}), gaps.get(cell))])
    return aligned(lines) if len(lines) > 1 else ""


def allocators(effects: Sequence[Mapping[str, Any]]) -> str:
    """A line for each allocator but the plain sum; empty where there is none."""
    lines = [["", "cells", "points", "nats", "accuracy + = -", "NLL + = -", "refused", "weighs other"]]
    for effect in effects:
        mean, counts = effect["mean"], effect["counts"]
        marks = {
            metric: " / ".join(str(by_mark[mark]) for mark in MARKS) for metric, by_mark in counts.items()
        }
        lines.append(
            [
                effect["allocator"],
                str(effect["cells"]),
                number(100 * mean["accuracy"], 1, sign=True) if mean else "-",
                number(mean["nll"], 3, sign=True) if mean else "-",
                marks.get("accuracy", "-"),
                marks.get("nll", "-"),
                str(effect["refused"]),
                str(effect["replaced"]),
            ]
        )
    return aligned(lines) if len(lines) > 1 else ""


def verdicts(answers: Sequence[Mapping[str, Any]]) -> str:
    """Every question with its answer, in sentences."""
    parts = []
    for verdict in answers:
        sentences = [
            textwrap.fill(sentence, _WIDTH, initial_indent="- ", subsequent_indent="  ")
            for sentence in verdict["sentences"]
        ]
        parts.append("\n".join([verdict["question"], *sentences]))
    return "\n\n".join(parts)


def _diagnosed(bias: Mapping[str, Any], alone: Mapping[str, float], gap: float | None) -> list[str]:
    leading = bias["leading"]
    follows = bias["follows_wrongly"].get(leading)
    return [
        leading,
        _with_ends(bias["by_modality"][leading], 2, sign=True),
        bias["answer"],
        _with_ends(bias["imbalance"], 2),
        "-" if follows is None else f"{100 * follows:.0f}",
        each(alone),
        "-" if gap is None else number(100 * gap, 1, sign=True),
    ]


def _with_ends(estimate: Mapping[str, float | None], digits: int, sign: bool = False) -> str:
    """`0.08 [0.05, 0.10]`, or a dash where it is undefined."""
    value, low, high = (estimate[name] for name in ("value", "low", "high"))
    if value is None:
        return "-"
    ends = "" if low is None or high is None else f" [{number(low, digits)}, {number(high, digits)}]"
    return number(value, digits, sign=sign) + ends
