"""The table of the classes: who recognises them, who decides on them, and what the headline makes of it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from ambidex.judge.probes import fit_probes
from ambidex.report import html
from ambidex.report.class_charts import lost
from ambidex.report.html import Html, Text
from ambidex.report.many import Shown
from ambidex.report.proportion import recalls, wilson
from ambidex.report.result import Result
from ambidex.report.run_judge import run_lean

TOGETHER = 2
"""modalities beside each other in one table; more of them take more tables"""
OWN = ("its part %", "probe %", "decides %", "could %", "weight")


def class_tables(result: Result) -> list[Html]:
    """A row for each class. With many modalities the tables after the first are folded away.

    Of many classes those with most to see come first; the table of all of them is folded away and can be searched.
    """
    modalities, classes = result.evaluation.modalities, result.evaluation.classes
    parts = [modalities[i : i + TOGETHER] for i in range(0, len(modalities), TOGETHER)]
    tables = [_Table.of(result, part) for part in parts]
    shown = _shown(result)
    if not shown.note:
        folded = [
            html.folded(f"The same for {_words(p)}", t.whole()) for p, t in zip(parts, tables, strict=True)
        ]
        return [tables[0].whole(), *folded[1:]]
    return [
        html.paragraph(shown.note.strip()),
        tables[0].some(shown.places),
        *(
            html.folded(
                f"All {len(classes)} classes" + (f", {_words(part)}" if len(parts) > 1 else ""),
                html.searchable("Find a class:", table.whole()),
            )
            for part, table in zip(parts, tables, strict=True)
        ),
    ]


def _words(modalities: Sequence[str]) -> str:
    return " and ".join(modalities)


def _shown(result: Result) -> Shown:
    evaluation, count = result.evaluation, len(result.evaluation.classes)
    test = evaluation.test
    branches = {m: recalls(*test.own(m, z), count) for m, z in test.branches.items()}
    return lost(
        recalls(result.headline.logits["test"], test.labels, count), branches, "the table of all classes"
    )


class _Table(NamedTuple):
    """Head and rows."""

    head: list[str]
    rows: list[list[Text]]
    groups: list[tuple[str, int]]

    @classmethod
    def of(cls, result: Result, modalities: Sequence[str]) -> "_Table":
        """What the table says of the fused model and these modalities."""
        return cls(*_cells(result, modalities))

    def whole(self) -> Html:
        """All rows."""
        return html.table(self.head, self.rows, groups=self.groups)

    def some(self, places: Sequence[int]) -> Html:
        """The rows at these places."""
        return html.table(self.head, [self.rows[place] for place in places], groups=self.groups)


def _cells(
    result: Result, modalities: Sequence[str]
) -> tuple[list[str], list[list[Text]], list[tuple[str, int]]]:
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
    rows: list[list[Text]] = [
        [classes[i], counts[i], *(column[i] for column in columns)] for i in range(len(classes))
    ]
    head = ["class", "n", f"{result.headline.name} %", *(OWN * len(modalities))]
    groups = [("", 2), ("fused", 1), *((m, len(OWN)) for m in modalities)]
    return head, rows, groups


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
