"""The table of the classes: who recognises them, who decides on them, and what the headline makes of it."""

from collections.abc import Sequence
from typing import Any

import torch

from ambidex.judge.probes import fit_probes
from ambidex.report import html
from ambidex.report.html import Html, Text
from ambidex.report.proportion import recalls, wilson
from ambidex.report.result import Result
from ambidex.report.run_judge import run_lean

TOGETHER = 2
"""modalities beside each other in one table; more of them take more tables"""
OWN = ("its part %", "probe %", "decides %", "could %", "weight")


def class_tables(result: Result) -> list[Html]:
    """A row for each class. With many modalities the tables after the first are folded away."""
    modalities = result.evaluation.modalities
    parts = [modalities[i : i + TOGETHER] for i in range(0, len(modalities), TOGETHER)]
    tables = [_table(result, part) for part in parts]
    folded = [
        html.folded(f"The same for {' and '.join(p)}", t) for p, t in zip(parts[1:], tables[1:], strict=True)
    ]
    return [*tables[:1], *folded]


def _table(result: Result, modalities: Sequence[str]) -> Html:
    evaluation = result.evaluation
    test, classes = evaluation.test, evaluation.classes
    probes = fit_probes(evaluation).own
    capabilities = {(row["modality"], row["class"]): row for row in result.table("capability", "capability")}
    weights = _weights(result)
    signs = run_lean(evaluation).signs if capabilities and len(evaluation.modalities) > 1 else {}
    fused = recalls(result.headline.logits["test"], test.labels, len(classes))
    columns = [[_recall(*r) for r in fused]]
    for m in modalities:
        for logits in (test.branches[m], probes[m].logits["test"]):
            columns.append([_recall(*r) for r in recalls(*test.own(m, logits), len(classes))])
        columns.append([_share(capabilities.get((m, c), {}), signs.get((m, c), 0)) for c in classes])
        columns.append([_part(capabilities.get((m, c), {}), "capability") for c in classes])
        columns.append([weights.get((m, c), "-") for c in classes])
    counts = [str(samples) for _, samples in fused]
    rows = [[classes[i], counts[i], *(column[i] for column in columns)] for i in range(len(classes))]
    head = ["class", "n", f"{result.headline.name} %", *(OWN * len(modalities))]
    groups = [("", 2), ("fused", 1), *((m, len(OWN)) for m in modalities)]
    return html.table(head, rows, groups=groups)


def _recall(hits: int, samples: int) -> Text:
    if not samples:
        return "-"
    low, high = wilson(hits, samples)
    return html.stacked(f"{100 * hits / samples:.0f}", f"{100 * low:.0f} to {100 * high:.0f}")


def _share(row: dict[str, Any], sign: int) -> Text:
    """Decision share, marked where it clearly is not the capability (`Lean.signs`)."""
    text = _part(row, "share")
    if row.get("share") is None or not sign:
        return text
    return html.tag("span", "▲ " if sign > 0 else "▼ ", text, class_="lean")


def _part(row: dict[str, Any], key: str) -> Text:
    if row.get(key) is None:
        return "undefined" if row else "-"
    low, high = row.get(f"{key}_low"), row.get(f"{key}_high")
    note = "" if low is None or high is None else f"{_percent(low)} to {_percent(high)}"
    return html.stacked(_percent(row[key]), note)


def _percent(value: float) -> str:
    return f"{round(100 * value)}"  # an int: there is no -0


def _weights(result: Result) -> dict[tuple[str, str], str]:
    """(modality, class) -> weight of the headline relative to its mean; empty where it depends on the sample."""
    rows = result.headline.weights
    if not rows:
        return {}
    mean = torch.tensor([row["weight"] for row in rows], dtype=torch.float64).mean().clamp_min(1e-12).item()
    return {(row["modality"], row["class"]): f"{row['weight'] / mean:.2f}" for row in rows}
