"""The page of a study: verdicts in words, the table, the charts, how it was tested."""

from collections.abc import Mapping, Sequence
from typing import Any

from ambidex.report import html
from ambidex.report.chart import Drawn
from ambidex.report.html import Html, Text
from ambidex.report.rows import ALONE, HIGHER_IS_BETTER, METRICS, Row
from ambidex.report.table import MARKS, cell, title

CONTENTS = {"verdicts": "Verdicts", "charts": "Charts", "table": "Table", "method": "How it was tested"}
SYMBOLS = {"better": ("▲", "better"), "worse": ("▼", "worse"), "same": ("=", "muted")}


def study_page(
    rows: Sequence[Row], sentences: Sequence[str], drawn: Sequence[Drawn], card: Mapping[str, Any]
) -> Html:
    """The whole page. `card`: what the study is about (classes, samples, protocol, leaky, reference, level ...)."""
    blocks = {
        "verdicts": [*_notices(rows, card), html.bullets(sentences)],
        "charts": [html.picture(d) for d in drawn],
        "table": [_table(rows)],
        "method": [_method(card)],
    }
    contents = {anchor: CONTENTS[anchor] for anchor, found in blocks.items() if found}
    sections = [html.section(anchor, CONTENTS[anchor], *blocks[anchor]) for anchor in contents]
    methods = len({row.method for row in rows if row.kind == "fused"})
    regimes = len({row.regime for row in rows if row.kind == "fused"})
    subtitle = (
        f"{methods} methods, {regimes} regimes, seeds {', '.join(map(str, card['seeds']))}; {card['samples']} test "
        f"samples of {card['classes']} classes. Mean ± standard deviation over seeds."
    )
    return html.page("Study: methods, regimes and decision layers compared", subtitle, contents, *sections)


def _notices(rows: Sequence[Row], card: Mapping[str, Any]) -> list[Html]:
    found = []
    if card.get("leaky"):
        found.append(
            html.notice(
                f"leaky protocol ({card.get('protocol') or 'not described'}): the same groups stand on both sides of "
                "the split, so every accuracy here is higher than it would be on unseen ones.",
                "danger",
            )
        )
    if any(row.oracle for row in rows):
        found.append(
            html.notice(
                "rows marked oracle kept the epoch that was best on the test split; they are upper bounds.",
                "danger",
            )
        )
    if ignored := card.get("ignored"):
        found.append(
            html.notice(
                f"reports that belong to no cell of this study were left out: {', '.join(ignored)}.", "note"
            )
        )
    return found


def _table(rows: Sequence[Row]) -> Html:
    best = {metric: _best(rows, metric) for metric in METRICS}
    body: list[Sequence[Text]] = []
    regime = ""
    for row in rows:
        if row.regime != regime:
            regime = row.regime
            body.append(["each modality alone" if regime == ALONE else regime])
        cells = [_cell(row, metric, best[metric]) for metric in METRICS]
        body.append([Html(_named(row) + _gaps(row)), *cells, _single(row), str(len(row.per_seed))])
    head = ["regime and row", *(title(m) for m in METRICS), "against best single", "seeds"]
    caption = (
        "▲ significantly better, ▼ significantly worse, = no clear difference to the reference of the same regime. The "
        "best value of a column is underlined. Gap: accuracy that a linear probe on the same features gains over this "
        "decision layer, in points. DI: decision imbalance, 0 is balanced. Against best single: mean difference in "
        "accuracy to the best modality trained alone, in points, and in how many seeds it is not below it."
    )
    return html.table(head, body, caption)


def _best(rows: Sequence[Row], metric: str) -> float | None:
    known = [value for row in rows if (value := row.mean.get(metric)) is not None]
    if not known or metric not in HIGHER_IS_BETTER:
        return None
    return max(known) if HIGHER_IS_BETTER[metric] else min(known)


def _cell(row: Row, metric: str, best: float | None) -> Html:
    text = cell(row, metric)
    mark = row.tests.get(metric, {}).get("mark")
    text = text.removesuffix(f" {MARKS[mark]}") if mark else text.rstrip()
    shown = html.safe(text)
    if best is not None and row.mean.get(metric) == best:
        shown = html.tag("span", text, class_="best")
    if not mark:
        return shown
    symbol, look = SYMBOLS[mark]
    test = row.tests[metric]
    told = f"{mark}: difference {test['difference']:+.4f}, corrected p {test['p_holm']:.3f}"
    return Html(f"{shown} {html.tag('span', symbol, class_=look, title=told)}")


def _named(row: Row) -> Html:
    marks = {"reference": row.reference, "headline": row.headline and not row.reference}
    name = html.safe(row.name)
    for word, holds in marks.items():
        if holds:
            name = Html(f"{name} {html.tag('span', f'({word})', class_='muted')}")
    for word, holds in (("leaky", row.leaky), ("oracle", row.oracle)):
        if holds:
            name = Html(name + html.tag("span", word, class_="badge"))
    return name


def _single(row: Row) -> Html:
    single = row.single
    if not single.get("seeds"):
        return html.tag("span", "-", class_="muted")
    difference = 100 * float(single["mean_difference"])
    return html.safe(f"{difference:+.1f} ({single['seeds_at_least']} of {single['seeds']})")


def _gaps(row: Row) -> Html:
    """Seeds that are missing or refused, as small notes."""
    found = []
    if row.missing:
        found.append(f"missing seed {', '.join(map(str, row.missing))}")
    if row.refused:
        found.append(f"refused in seed {', '.join(row.refused)}")
    return html.join([Html(f"<br>{html.tag('small', text, class_='worse')}") for text in found], "")


def _method(card: Mapping[str, Any]) -> Html:
    return html.facts(
        {
            "reference": f"{card['reference']}, in the same regime",
            "test": f"paired bootstrap, {card['resamples']} resamples of the same test samples for both, values "
            "averaged over the seeds that both have; two-sided",
            "correction": "Holm over all compared rows, accuracy and NLL each as one family; level "
            f"{card['significance']}",
            "per seed": "exact McNemar tests stand in compare.json",
            "what it does not say": "the test samples are resampled, not the seeds: a difference holds for these "
            "trained models; the deviation over seeds says how much training varies",
            "split": str(card.get("protocol") or "not described"),
            "feature store": str(card["features"]),
            "code": f"ambidex {card.get('ambidex')}, revision {card.get('revision') or 'unknown'}",
        }
    )
