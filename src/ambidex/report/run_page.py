"""The report of one run: the verdict first, then who decides, what the head prefers, calibration, repair, details."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ambidex.report import html
from ambidex.report.chart import Drawn
from ambidex.report.html import Html, Text
from ambidex.report.notices import notices, verdict
from ambidex.report.result import Result

SECTIONS = {
    "overview": "Overview",
    "decides": "Who decides",
    "head": "Weights and logits",
    "calibration": "Calibration",
    "repair": "Repair",
    "classes": "Class by class",
    "samples": "Where modalities disagree",
    "training": "Training",
    "further": "Further measurements",
    "provenance": "Protocol and provenance",
}
PLACED = ("performance", "probes", "capability", "logits", "shapley", "weights", "calibration")
"""diagnostics that a section speaks of; any other gets its own part under `further`"""
SHOWN = 10
"""samples listed where modalities disagree"""


def run_page(
    result: Result, metrics: Mapping[str, Any], drawn: Sequence[Drawn], card: Mapping[str, Any]
) -> Html:
    """The whole page. `card`: provenance (versions, fingerprints) as it is written beside the report."""
    pictures = {d.name: html.picture(d) for d in drawn}

    def charts(*names: str) -> list[Html]:
        return [pictures[name] for name in names if name in pictures]

    blocks = {
        "overview": [*_overview(result, metrics), *charts("accuracy")],
        "decides": [
            html.paragraph(
                "A fair decision layer lets each modality decide as much as it can recognise. Decision share is a "
                "modality's part of the evidence for the true class; capability is its part of what probes on "
                "each modality's own features recognise."
            ),
            html.bullets(result.sentences("capability", "logits")),
            *charts("shares", "shapley"),
            _overrides(result),
        ],
        "head": [html.bullets(result.sentences("weights")), *charts("contributions", "head")],
        "calibration": [html.bullets(result.sentences("calibration")), *charts("reliability")],
        "repair": [_allocators(result), *charts("allocators", "weights")],
        "classes": charts(
            "recall", "confusion_matrix", *(f"confusion_{m}" for m in result.evaluation.modalities)
        ),
        "samples": [_disagreements(result)],
        "training": charts("history"),
        "further": _further(result),
        "provenance": [_provenance(result, card)],
    }
    kept = {anchor: [b for b in found if b] for anchor, found in blocks.items()}
    contents = {anchor: SECTIONS[anchor] for anchor, found in kept.items() if found}
    sections = [html.section(anchor, title, *kept[anchor]) for anchor, title in contents.items()]
    return html.page(_title(result), _subtitle(result), contents, *sections)


def _title(result: Result) -> str:
    card = result.evaluation.card
    return f"{card.get('method', 'model')}, {card.get('regime', 'unknown regime')}, seed {card.get('seed', 'unknown')}"


def _subtitle(result: Result) -> str:
    evaluation = result.evaluation
    counts = ", ".join(f"{len(split.labels)} {name}" for name, split in evaluation.splits.items())
    return (
        f"{' + '.join(evaluation.modalities)}, {len(evaluation.classes)} classes, samples: {counts}. "
        "Everything is fitted on train and validation; every number is measured on test."
    )


def _overview(result: Result, metrics: Mapping[str, Any]) -> list[Html]:
    return [
        *notices(result, metrics),
        html.paragraph(verdict(result, metrics), "verdict"),
        html.tiles(_tiles(metrics)),
        html.bullets(result.sentences("probes", "performance")),
    ]


def _tiles(metrics: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    alone = metrics["unimodal"] or metrics["branches"]
    best = max(alone, key=lambda m: float(alone[m]["test"]["accuracy"]))
    how = f"{best}, {'trained alone' if metrics['unimodal'] else 'its part of this model'}"
    found = [
        (f"{100 * metrics['accuracy']:.1f} %", "accuracy, fused", f"allocator {metrics['allocator']}"),
        (f"{100 * alone[best]['test']['accuracy']:.1f} %", "best modality alone", how),
    ]
    if (gap := metrics["decision_gap"]) is not None:
        low, high = 100 * metrics["decision_gap_low"], 100 * metrics["decision_gap_high"]
        note = f"points a linear probe gains over the trained head ({low:+.1f} to {high:+.1f})"
        found.append((f"{100 * gap:+.1f}", "decision gap", note))
    if (imbalance := metrics["allocators"]["uniform"].get("decision_imbalance")) is not None:
        after = metrics.get("decision_imbalance")
        note = "0 is balanced" + ("" if after is None else f"; after repair {after:.2f}")
        found.append((f"{imbalance:.2f}", "decision imbalance", note))
    found.append(
        (f"{100 * metrics['ece']:.1f} %", "calibration error", f"ECE, fused; NLL {metrics['nll']:.2f} nats")
    )
    return found


def _overrides(result: Result) -> Html:
    rows = result.table("logits", "overrides")
    if not rows:
        return Html("")
    body = [
        [r["modality"], _range(r, "override"), str(r["override_samples"]), _range(r, "unjustified"),
         str(r["unjustified_samples"])]
        for r in rows
    ]  # fmt: skip
    return html.table(
        ["modality", "decision follows it (%)", "samples", "though it is wrong (%)", "samples"],
        body,
        "Where the modalities disagree: how often the decision follows each, and how often it does so though that "
        "modality is wrong and another one right. In brackets: 95 % interval.",
    )


def _range(row: Mapping[str, Any], key: str) -> str:
    if row[key] is None:
        return "undefined"
    return f"{100 * row[key]:.1f} ({100 * row[f'{key}_low']:.0f} to {100 * row[f'{key}_high']:.0f})"


def _allocators(result: Result) -> Html:
    """The table of allocators, best values underlined, differences marked where they are clear."""
    columns = {
        "accuracy": 100.0,
        "macro_f1": 100.0,
        "nll": 1.0,
        "ece": 100.0,
        "brier": 1.0,
        "decision_imbalance": 1.0,
    }
    best = {
        name: (max if name in ("accuracy", "macro_f1") else min)(known)
        for name in columns
        if (known := [v for a in result.fitted if (v := a.metrics.get(name)) is not None])
    }
    rows: list[list[Text]] = []
    for allocation in result.allocations:
        name: Text = allocation.name
        if allocation is result.headline:
            name = Html(f"{html.safe(name)} {html.tag('span', '(headline)', class_='muted')}")
        if allocation.refusal:
            rows.append([name, *["-"] * len(columns), html.tag("span", "refused", class_="muted")])
            continue
        cells: list[Text] = []
        for key, factor in columns.items():
            value = allocation.metrics.get(key)
            text = "-" if value is None else f"{factor * value:.{1 if factor == 100 else 3}f}"
            cells.append(
                html.tag("span", text, class_="best") if value is not None and value == best[key] else text
            )
        rows.append([name, *cells, _difference(allocation.against_uniform)])
    head = [
        "allocator",
        "accuracy (%)",
        "macro-F1 (%)",
        "NLL (nats)",
        "ECE (%)",
        "Brier",
        "imbalance DI",
        "against the sum",
    ]
    caption = (
        "Ways to weight the modalities, fitted on validation, measured on test. The best value of a column is "
        "underlined; the last column is the paired difference in accuracy with its 95 % interval."
    )
    refused = [f"{a.name} was refused: it {a.refusal}." for a in result.allocations if a.refusal]
    return Html(html.table(head, rows, caption) + html.bullets(refused))


def _difference(against: Mapping[str, Any]) -> Text:
    test = against.get("accuracy")
    if not test:
        return html.tag("span", "the reference", class_="muted")
    low, high = 100 * test["low"], 100 * test["high"]
    text = f"{100 * test['difference']:+.1f} points ({low:+.1f} to {high:+.1f})"
    if low > 0:
        return html.tag("span", f"▲ {text}", class_="better")
    return html.tag("span", f"▼ {text}", class_="worse") if high < 0 else text


def _disagreements(result: Result) -> Html:
    """The test samples on which two modalities contradict each other with the highest confidence."""
    evaluation = result.evaluation
    if len(evaluation.modalities) < 2:
        return Html("")
    test, classes = evaluation.test, evaluation.classes
    p = torch.stack([z.double().softmax(dim=1) for z in test.branches.values()], dim=1)
    confidence, said = p.max(dim=2)
    surest = confidence.argmax(dim=1, keepdim=True)
    contradicts = said != said.gather(1, surest)
    strength = torch.where(contradicts, confidence, 0.0).amax(dim=1)
    order = [i for i in strength.argsort(descending=True, stable=True).tolist() if strength[i] > 0][:SHOWN]
    fused = result.headline.logits["test"].argmax(dim=1)

    def word(label: int, truth: int, sure: float | None = None) -> Html:
        text = classes[label] + ("" if sure is None else f" ({100 * sure:.0f} %)")
        mark = "✓ " if label == truth else "✗ "
        return html.tag("span", mark + text, class_="better" if label == truth else "worse")

    rows: list[list[Text]] = []
    for i in order:
        truth = int(test.labels[i])
        branches = [
            word(int(said[i, m]), truth, float(confidence[i, m])) for m in range(len(evaluation.modalities))
        ]
        rows.append([test.sample_ids[i], classes[truth], *branches, word(int(fused[i]), truth)])
    if not rows:
        return html.paragraph("On no test sample do two modalities name different classes.")
    head = ["sample", "true class", *evaluation.modalities, "fused"]
    count = int(contradicts.any(dim=1).sum())
    caption = (
        f"The modalities name different classes on {count} of {len(fused)} test samples; these are the sharpest "
        "contradictions, with each modality's confidence. ✓ right, ✗ wrong."
    )
    return html.table(head, rows, caption)


def _further(result: Result) -> list[Html]:
    blocks: list[Html] = []
    for name, diagnosis in result.diagnoses.items():
        if name in PLACED:
            continue
        blocks += [html.tag("h3", name.replace("_", " ")), html.bullets(diagnosis.sentences)]
        for title, rows in diagnosis.tables.items():
            if rows:
                body = [[_short(value) for value in row.values()] for row in rows]
                blocks.append(html.folded(title.replace("_", " "), html.table(list(rows[0]), body)))
    return blocks


def _short(value: Any) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _provenance(result: Result, card: Mapping[str, Any]) -> Html:
    evaluation, model = result.evaluation, result.evaluation.card
    params = evaluation.params
    leaky = result.store.get("leaky")
    protocol: Text = str(result.store.get("protocol") or "not described")
    if leaky:
        protocol = Html(html.safe(protocol) + html.tag("span", "leaky", class_="badge"))
    selection: Text = str(model.get("selection", "unknown"))
    if selection == "oracle":
        selection = html.tag("span", "oracle", class_="badge")
    versions = ", ".join(f"{name} {version}" for name, version in card.get("libraries", {}).items())
    return html.facts(
        {
            "split": protocol,
            "epoch kept by": selection,
            "seeds": f"training {model.get('seed', 'unknown')}, evaluation {params.seed}",
            "bootstrap": f"{params.resamples} resamples of the test samples",
            "absent modality": f"its feature replaced by: {params.absent}",
            "feature store": str(card.get("features", "unknown")),
            "model weights": str(card.get("weights", "unknown")),
            "code": f"ambidex {card.get('ambidex')}, revision {card.get('revision') or 'unknown'}, "
            f"sources {card.get('code')}",
            "versions": f"Python {card.get('python')}, {versions}",
        }
    )
