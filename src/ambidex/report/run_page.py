"""The report of one run: the verdict first, then who decides, what the head prefers, calibration, repair, details."""

from collections.abc import Mapping, Sequence
from typing import Any

from ambidex.report import html, terms
from ambidex.report.chart import Drawn
from ambidex.report.class_table import class_tables
from ambidex.report.disagreements import disagreements
from ambidex.report.finding import verdict
from ambidex.report.headline import headline, tiles
from ambidex.report.html import Html, Text
from ambidex.report.notices import notices
from ambidex.report.presence import presence
from ambidex.report.repair_table import allocator_table, choice, left_out
from ambidex.report.result import Result
from ambidex.report.run_judge import lean_sentence
from ambidex.report.run_tables import overrides, trust

SECTIONS = {
    "overview": "Overview",
    "decides": "Who decides",
    "head": "Weights and logits",
    "calibration": "Calibration",
    "repair": "Repair",
    "classes": "Class by class",
    "samples": "Where modalities disagree",
    "presence": "Samples that lack a modality",
    "training": "Training",
    "further": "Further measurements",
    "provenance": "Protocol and provenance",
}
PLACED = ("performance", "probes", "capability", "logits", "shapley", "weights", "calibration", "presence")
"""diagnostics that a section speaks of; any other gets its own part under `further`"""


def run_page(
    result: Result, details: Mapping[str, Any], drawn: Sequence[Drawn], card: Mapping[str, Any]
) -> Html:
    """The whole page. `card`: provenance (versions, fingerprints) as it is written beside the report."""
    blocks = _blocks(result, details, drawn, card)
    if len(result.evaluation.modalities) < 2:
        del blocks["samples"]
    kept = {anchor: [b for b in pieces if b] for anchor, pieces in blocks.items()}
    contents = {anchor: SECTIONS[anchor] for anchor, pieces in kept.items() if pieces}
    sections = [html.section(anchor, title, *kept[anchor]) for anchor, title in contents.items()]
    return html.page(_title(result), _subtitle(result), contents, *sections)


def _blocks(
    result: Result, details: Mapping[str, Any], drawn: Sequence[Drawn], card: Mapping[str, Any]
) -> dict[str, list[Html]]:
    """What stands in each section, by its anchor."""
    pictures = {d.name: html.picture(d) for d in drawn}

    def charts(*names: str) -> list[Html]:
        return [pictures[name] for name in names if name in pictures]

    alone = charts(*(f"confusion_{m}" for m in result.evaluation.modalities))
    return {
        "overview": [*_overview(result, details), *charts("accuracy")],
        "decides": [
            html.terms(terms.DECISION),
            html.bullets([*lean_sentence(result), *result.sentences("capability")]),
            *charts("shares", "shapley"),
            overrides(result),
            *_in_detail(result, "shapley"),
        ],
        "head": [
            html.terms(terms.HEAD),
            *charts("contributions", "head"),
            html.shortened(result.sentences("weights"), 3),
        ],
        "calibration": [
            html.terms(terms.CALIBRATION),
            *charts("reliability"),
            trust(result),
            *_in_detail(result, "calibration"),
        ],
        "repair": [
            html.terms(terms.REPAIR),
            *charts("allocators"),
            allocator_table(result),
            *map(html.paragraph, (choice(result), left_out(result))),
            *charts("selection", "weights"),
        ],
        "classes": [
            html.terms(terms.CLASSES),
            *charts("recall"),
            *class_tables(result),
            *charts("confusion_matrix"),
            html.folded("What each modality alone mistakes for what", *alone) if alone else Html(""),
        ],
        "samples": [html.terms(terms.SAMPLES), disagreements(result)],
        "presence": presence(result),
        "training": charts("history"),
        "further": _further(result),
        "provenance": [_provenance(result, card)],
    }


def _title(result: Result) -> str:
    card = result.evaluation.card
    return f"{card.get('method', 'model')}, {card.get('regime', 'unknown regime')}, seed {card.get('seed', 'unknown')}"


def _subtitle(result: Result) -> str:
    evaluation = result.evaluation
    counts = ", ".join(f"{len(split.labels)} {name}" for name, split in evaluation.splits.items())
    splits = "train and validation" if "val" in evaluation.splits else "train"
    return (
        f"{' + '.join(evaluation.modalities)}, {len(evaluation.classes)} classes, samples: {counts}. "
        f"Everything is fitted on {splits}; every number is measured on test."
    )


def _overview(result: Result, details: Mapping[str, Any]) -> list[Html]:
    finding, *reasons = verdict(result)
    return [
        *notices(result, details),
        html.paragraph(headline(result, details), "headline"),
        html.paragraph(finding, "verdict"),
        html.tiles(tiles(result, details)),
        html.bullets([*lean_sentence(result), *reasons]),
        *_in_detail(result, "performance", "probes"),
    ]


def _in_detail(result: Result, *diagnostics: str) -> list[Html]:
    """What they say in words, folded away; nothing where none of them was run."""
    sentences = result.sentences(*diagnostics)
    return [html.folded("Measured in detail", html.bullets(sentences))] if sentences else []


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
            f"sources {card.get('code') or 'unknown'}",
            "versions": f"Python {card.get('python')}, {versions}",
        }
    )
