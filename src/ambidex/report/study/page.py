"""The page of a study: verdicts in words, the table, the charts, how it was tested."""

from collections.abc import Mapping, Sequence
from typing import Any

from ambidex.report import html
from ambidex.report.chart import Drawn
from ambidex.report.clarity import judged
from ambidex.report.html import Html, Text
from ambidex.report.lean import MARGIN
from ambidex.report.study.allocators import Effect
from ambidex.report.study.choice_text import choice_section
from ambidex.report.study.claim import Verdict
from ambidex.report.study.detectable import power_words
from ambidex.report.study.judge import Study
from ambidex.report.study.methods_table import methods_section
from ambidex.report.study.rows import ALONE, HIGHER_IS_BETTER, METRICS, TESTED, Comparison, Row, judgement
from ambidex.report.study.table import cell, footnotes, main_rows, replaced, single_tests, title
from ambidex.report.words import number

DEFINITION = (
    "Bias of a modality (it leads by so much): its share in the decision less its share in what the modalities can "
    "recognise, averaged over the classes. Yes: the interval of the leading modality lies above 0. No: every "
    f"modality's interval lies within {MARGIN:g} of 0. Undecided: neither. In brackets 95 % "
    "intervals, over all modalities together, for new test samples and new seeds. DI: decision imbalance. Evidence is "
    "not on the scale of recall: a perfect sum, too, gives the better modality more than its part. So read bias beside "
    "that of other methods, and with how often a modality is followed where it is wrong."
)
CAPTION = (
    "▲ clearly better, ▼ clearly worse, both after correction for all comparisons; ~ clear on its own, not after "
    "correction; = no clear difference. In the columns of accuracy, NLL and Brier to the reference of the same regime. "
    "The best value of a column is underlined. Gap: accuracy that a linear probe on the same features gains over this "
    "decision layer, in points. DI: decision imbalance, 0 is balanced. Against "
    "plain sum: points of accuracy and nats of NLL that the allocator changes. Against best single: points of "
    "accuracy, and in how many seeds it is not below the best modality trained alone."
)
FIRST = 4
"""sentences of a verdict that are seen at once"""
CONTENTS = {
    "verdicts": "Verdicts",
    "choice": "Which to take",
    "charts": "Charts",
    "table": "Table",
    "methods": "Methods",
    "method": "How it was tested",
}
SYMBOLS = {
    "better": ("▲", "better"),
    "worse": ("▼", "worse"),
    "alone": ("~", "muted"),
    "same": ("=", "muted"),
}


def study_page(study: Study, drawn: Sequence[Drawn], card: Mapping[str, Any]) -> Html:
    """The whole page. `card`: what the study is about (classes, samples, protocol, leaky, reference, level ...)."""
    rows = study.rows
    blocks = {
        "verdicts": [*_notices(rows, card), *_overview(study), *map(_verdict, study.verdicts)],
        "choice": choice_section(study.choice),
        "charts": [html.picture(d) for d in drawn],
        "table": _tables(study),
        "methods": [methods_section(study.methods)] if study.methods else [],
        "method": [_method(card)],
    }
    contents = {anchor: CONTENTS[anchor] for anchor, pieces in blocks.items() if pieces}
    sections = [html.section(anchor, CONTENTS[anchor], *blocks[anchor]) for anchor in contents]
    methods = len({row.method for row in rows if row.kind == "fused"})
    regimes = len({row.regime for row in rows if row.kind == "fused"})
    subtitle = (
        f"{methods} method{'s' * (methods > 1)}, {regimes} regime{'s' * (regimes > 1)}, "
        f"seed{'s' * (len(card['seeds']) > 1)} {', '.join(map(str, card['seeds']))}; {card['samples']} test "
        f"samples of {len(card['classes'])} classes. Mean ± standard deviation over seeds."
    )
    return html.page("Study: methods, regimes and decision layers compared", subtitle, contents, *sections)


def _overview(study: Study) -> list[Html]:
    """The answers, a line each, and what bias means here."""
    answers = {verdict.question: html.tag("strong", verdict.answer) for verdict in study.verdicts}
    notices = [html.notice(sentence, "note") for sentence in power_words(study.power)]
    return [html.facts(answers), *notices, html.paragraph(DEFINITION)]


def _verdict(verdict: Verdict) -> Html:
    """A heading with the answer, and the numbers it rests on; of many sentences the later ones are folded."""
    many = len(verdict.sentences) > FIRST + 1
    first, rest = (verdict.sentences[:FIRST], verdict.sentences[FIRST:]) if many else (verdict.sentences, [])
    title = f"{verdict.question} {verdict.answer[:1].upper()}{verdict.answer[1:]}."
    blocks = [html.tag("h3", title), html.bullets(first)]
    if rest:
        blocks.append(html.folded(f"{len(rest)} more", html.bullets(rest)))
    return html.join(blocks)


def _notices(rows: Sequence[Row], card: Mapping[str, Any]) -> list[Html]:
    boxes = []
    if card.get("leaky"):
        boxes.append(
            html.notice(
                f"leaky protocol ({card.get('protocol') or 'not described'}): the same groups stand on both sides of "
                "the split, so every accuracy here is higher than it would be on unseen ones.",
                "danger",
            )
        )
    if any(row.oracle for row in rows):
        boxes.append(
            html.notice(
                "rows marked oracle kept the epoch that was best on the test split; they are upper bounds.",
                "danger",
            )
        )
    if words := card.get("degraded"):
        boxes.append(html.notice(f"{words}.", "note"))
    boxes += [html.notice(f"{line}.") for line in card.get("few_groups", ())]
    if line := card.get("far_apart"):
        boxes.append(html.notice(line))
    if ignored := card.get("ignored"):
        boxes.append(
            html.notice(
                f"reports that belong to no cell of this study were left out: {', '.join(ignored)}.", "note"
            )
        )
    return boxes


def _tables(study: Study) -> list[Html]:
    """The rows worth reading first; all of them folded where there are more; why some are marked."""
    rows = study.rows
    chosen = main_rows(rows)
    blocks = [_table(rows, chosen), html.bullets(footnotes(rows)), _effects(study.effects)]
    if len(chosen) < len(rows):
        blocks.insert(1, html.folded(f"All {len(rows)} rows", _table(rows, rows)))
    return blocks


def _effects(effects: Sequence[Effect]) -> Html:
    """What each allocator does to the plain sum, over all methods and regimes."""
    if not effects:
        return Html("")
    body = []
    for e in effects:
        marks = [f"{c['better']} / {c['same']} / {c['worse']}" for c in e.counts.values()] or ["-", "-"]
        means = (("accuracy", 100, 1), ("nll", 1, 3))
        values = [number(k * e.mean[m], digits, sign=True) if e.cells else "-" for m, k, digits in means]
        body.append(
            [
                e.allocator,
                str(e.cells),
                values[0],
                marks[0],
                values[1],
                marks[1],
                str(e.refused),
                str(e.replaced),
            ]
        )
    head = ["allocator", "cells", "accuracy (points)", "better / = / worse", "NLL (nats)", "better / = / worse",
            "refused", "not on the head alone"]  # fmt: skip
    caption = (
        "Every allocator against the plain sum of the same model: mean over the cells (method and regime) in which it "
        "was fitted, and in how many of them it is clearly better, not clearly different, and clearly worse, after "
        "correction for all comparisons."
    )
    return html.table(head, body, caption)


def _table(rows: Sequence[Row], chosen: Sequence[Row]) -> Html:
    best = {metric: _best(rows, metric) for metric in METRICS}
    body: list[Sequence[Text]] = []
    regime = ""
    for row in chosen:
        if row.regime != regime:
            regime = row.regime
            body.append(["each modality alone" if regime == ALONE else regime])
        cells = [_cell(row, metric, best[metric]) for metric in METRICS]
        body.append(
            [
                Html(_named(row) + _gaps(row)),
                *cells,
                _against(row.repair),
                _single(row),
                str(len(row.per_seed)),
            ]
        )
    head = [
        "regime and row",
        *(title(m) for m in METRICS),
        "against plain sum",
        "against best single",
        "seeds",
    ]
    return html.table(head, body, CAPTION)


def _best(rows: Sequence[Row], metric: str) -> float | None:
    values = [value for row in rows if (value := row.mean.get(metric)) is not None]
    if not values or metric not in HIGHER_IS_BETTER:
        return None
    return max(values) if HIGHER_IS_BETTER[metric] else min(values)


def _cell(row: Row, metric: str, best: float | None) -> Html:
    text = cell(row, metric)
    outcome = judgement(row.tests, metric)
    text = text[:-2] if metric in TESTED and row.mean.get(metric) is not None else text
    shown = html.safe(text)
    if best is not None and row.mean.get(metric) == best:
        shown = html.tag("span", text, class_="best")
    if outcome is None:
        return shown
    symbol, look = SYMBOLS[outcome.clarity]
    test = row.tests[metric]
    tooltip = f"{outcome.words}: difference {test['difference']:+.4f}, corrected p {test['p_holm']:.3f}"
    return Html(f"{shown} {html.tag('span', symbol, class_=look, title=tooltip)}")


def _named(row: Row) -> Html:
    marks = {
        "reference": row.reference,
        "headline": row.headline and not row.reference,
        "best step size": row.best_step,
    }
    name = html.safe(row.name)
    for word, holds in marks.items():
        if holds:
            name = Html(f"{name} {html.tag('span', f'({word})', class_='muted')}")
    for word, holds in (("leaky", row.leaky), ("oracle", row.oracle)):
        if holds:
            name = Html(name + html.tag("span", word, class_="badge"))
    return name


def _against(tests: Comparison) -> Html:
    """Points of accuracy and nats of NLL, each with its mark."""
    if not tests:
        return html.tag("span", "-", class_="muted")
    points, nats = tests["accuracy"], tests["nll"]
    return html.join(
        [
            _marked(number(100 * points["difference"], 1, sign=True), tests, "accuracy"),
            _marked(number(nats["difference"], 3, sign=True), tests, "nll"),
        ],
        " ",
    )


def _marked(text: str, tests: Comparison, metric: str) -> Html:
    test, outcome = tests[metric], judged(tests[metric], HIGHER_IS_BETTER[metric])
    symbol, look = SYMBOLS[outcome.clarity]
    tooltip = f"{outcome.words}: {test['low']:+.4f} to {test['high']:+.4f}, corrected p {test['p_holm']:.3f}"
    return Html(f"{html.safe(text)} {html.tag('span', symbol, class_=look, title=tooltip)}")


def _single(row: Row) -> Html:
    single = row.single
    if not single.get("seeds"):
        return html.tag("span", "-", class_="muted")
    won = html.tag("span", f"({single['seeds_at_least']} of {single['seeds']})", class_="muted")
    difference = number(100 * float(single["mean_difference"]), 1, sign=True)
    tests = single_tests(row)
    return html.join([_marked(difference, tests, "accuracy") if tests else html.safe(difference), won], " ")


def _gaps(row: Row) -> Html:
    """Seeds that are missing or refused, and what an allocator weighs instead, as small notes."""
    notes = []
    if row.missing:
        notes.append(f"missing seed {', '.join(map(str, row.missing))}")
    if row.refused:
        notes.append(f"refused in seed {', '.join(row.refused)}")
    notes += replaced(row)
    return html.join([Html(f"<br>{html.tag('small', text, class_='worse')}") for text in notes], "")


def _method(card: Mapping[str, Any]) -> Html:
    return html.facts(
        {
            "reference": f"{card['reference']}, in the same regime",
            "test": "paired differences of the seeds that both have, seeds and test samples crossed random effects "
            "(Hillis 2007), two-sided; with one seed a paired bootstrap over test samples, "
            f"{card['resamples']} or more resamples",
            "correction": "Holm within a family, each metric by itself; plain sums and the headline allocator among "
            f"themselves, the other allocators over all rows; level {card['significance']}",
            "families": "each row against the reference, against the plain sum of the same model, and against the best "
            "single modality on test; the shipped recipe against joint training, over the regimes",
            "McNemar": "exact for each seed; over seeds the p-value that a majority reaches, times seeds / majority, "
            "as all seeds share their test samples (compare.json, compare.csv)",
            "drawn anew": f"seeds, and {card['independent']}",
            "of these trained models alone": "p_models in compare.csv, a paired bootstrap over the same",
            "split": str(card.get("protocol") or "not described"),
            "feature store": str(card["features"]),
            "code": f"ambidex {card.get('ambidex')}, revision {card.get('revision') or 'unknown'}",
        }
    )
