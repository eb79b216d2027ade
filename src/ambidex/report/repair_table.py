"""The table of the allocators, what each was fitted on, and in words what `auto` chose and why."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ambidex.decide.fitting import Allocation
from ambidex.report import html
from ambidex.report.clarity import Judgement
from ambidex.report.html import Html, Text
from ambidex.report.result import Result
from ambidex.report.run_judge import judge_allocators

COLUMNS = {
    # metric -> heading, factor, decimals, whether high is good
    "accuracy": ("accuracy (%)", 100.0, 1, True),
    "macro_f1": ("macro-F1 (%)", 100.0, 1, True),
    "nll": ("NLL (nats)", 1.0, 3, False),
    "ece": ("ECE (%)", 100.0, 1, False),
    "brier": ("Brier", 1.0, 3, False),
    "decision_imbalance": ("imbalance DI", 1.0, 3, False),
}
MARKS = {"better": ("▲", "better"), "worse": ("▼", "worse"), "alone": ("~", "muted")}
SOURCES = {
    "contributions": "the head",
    "own_heads": "own heads",
    "probes": "probes",
    "both": "head and probes",
    "typicality": "head, probes, typicality",
    "opinions": "head, probes, own heads, typicality",
}


def allocator_table(result: Result) -> Html:
    """A row for each allocator, best values underlined, clear differences marked; the notes stand below."""
    best = {
        name: (max if high else min)(values)
        for name, (_, _, _, high) in COLUMNS.items()
        if (values := [v for a in result.fitted if (v := a.metrics.get(name)) is not None])
    }
    rows = [_row(allocation, result, best) for allocation in result.allocations]
    head = [
        "allocator",
        "weighs",
        *(heading for heading, *_ in COLUMNS.values()),
        "accuracy against the sum (points)",
    ]
    caption = (
        "Ways to weight the modalities, fitted on held-out samples, measured on test. The best value of a column is "
        "underlined; the last column is the paired difference with its own 95 % interval, ▲ clearly better, ▼ clearly "
        "worse, ~ clear on its own, not after correction: the headline is one comparison, the others, of which a "
        "reader picks, are corrected among themselves."
    )
    return Html(html.table(head, rows, caption) + html.bullets(notes(result.allocations)))


def _row(allocation: Allocation, result: Result, best: Mapping[str, float]) -> list[Text]:
    name: Text = allocation.name
    if allocation is result.headline:
        name = html.stacked(html.tag("strong", allocation.name), "headline")
    if chosen := allocation.record.get("chosen"):
        name = html.stacked(name, f"chose {chosen}")
    if allocation.refusal:
        return [
            name,
            "-",
            *["-"] * len(COLUMNS),
            html.tag("span", "refused, see below", class_="muted"),
        ]
    cells: list[Text] = []
    for key, (_, factor, digits, _) in COLUMNS.items():
        value = allocation.metrics.get(key)
        text = "-" if value is None else f"{factor * value:.{digits}f}"
        cells.append(html.tag("span", text, class_="best") if value == best.get(key, "none") else text)
    judgement = judge_allocators(result)["accuracy"].get(allocation.name)
    return [name, _source(allocation), *cells, difference(allocation.against_uniform, judgement)]


def _source(allocation: Allocation) -> Text:
    word = SOURCES.get(allocation.source, allocation.source)
    return html.tag("span", f"{word} *", class_="muted") if allocation.note else word


def difference(against: Mapping[str, Any], judgement: Judgement | None) -> Text:
    """A paired difference of accuracy in points, marked where it is clear."""
    test = against.get("accuracy")
    if not test or judgement is None:
        return html.tag("span", "the reference", class_="muted")
    low, high = 100 * test["low"], 100 * test["high"]
    text: Text = f"{100 * test['difference']:+.1f}"
    if judgement.clarity in MARKS:
        symbol, look = MARKS[judgement.clarity]
        text = html.tag("span", f"{symbol} {text}", class_=look, title=judgement.words)
    return html.stacked(text, f"{low:+.1f} to {high:+.1f}")


def notes(allocations: Sequence[Allocation]) -> list[str]:
    """Why allocators weigh something else than the head's contributions, or were refused; one reason, one line."""
    reasons: dict[str, list[str]] = {}
    for a in allocations:
        if a.note:
            reasons.setdefault(f"* {{}}: {a.note}.", []).append(a.name)
        if a.refusal:
            reasons.setdefault(f"{{}} refused: {a.refusal}.", []).append(a.name)
    return [reason.replace("{}", ", ".join(names), 1) for reason, names in reasons.items()]


def choice(result: Result) -> str:
    """What `auto` chose and why, in words; empty where it did not run."""
    auto = next((a for a in result.fitted if a.record.get("candidates")), None)
    if auto is None:
        return ""
    rows = [row for row in auto.record["candidates"] if row.get("nll") is not None]
    chosen = next((row for row in rows if row["name"] == auto.record["chosen"]), None)
    if chosen is None:
        return ""
    best = min(rows, key=lambda row: float(row["nll"]))
    text = (
        f"auto chose {chosen['name']} among {len(rows)} candidates, by cross-validation on held-out samples."
    )
    text += f" There its NLL is {chosen['nll']:.3f}"
    if chosen["name"] != "uniform":
        error = chosen.get("nll_standard_error")
        spread = "" if error is None else f" with a standard error of {error:.3f}"
        text += f", {chosen['nll_difference']:+.3f} against the plain sum{spread}"
    if auto.record.get("decided_by") == "bayes factor":
        factor = math.exp(auto.record["log_bayes_factor"])
        text += (
            ". Cross-validation would keep the plain sum; but a softer or louder one makes the held-out answers "
            f"{factor:.3g} times as likely (Bayes factor), and changes no prediction."
        )
    elif best["name"] == chosen["name"]:
        text += ": the lowest of all."
    else:
        text += (
            f". {best['name']} reached {best['nll']:.3f}, not clearly less, and {chosen['name']} is kept until another "
            "one is clearly better."
        )
    return text + _mixed(auto) + _softened(auto)


def _mixed(auto: Allocation) -> str:
    """What a mixture weighs, and its three members with the largest weights; empty for anything else."""
    mixing: dict[str, float] = auto.record.get("mixing", {})
    if not mixing:
        return ""
    reads = auto.record.get("reads", {})
    shown = [
        f"{name} {mixing[name]:.2f}" + (f" (from {SOURCES[reads[name]]})" if name in reads else "")
        for name in sorted(mixing, key=lambda name: -mixing[name])[:3]
    ]
    return (
        f" The mixture is a mean: it averages the class probabilities that {len(mixing)} allocators give, each with a "
        f"weight. The largest weights: {', '.join(shown)}."
    )


def _softened(auto: Allocation) -> str:
    """What few groups did to the answers; empty where samples are no groups."""
    temperature = f"{auto.temperature:.2f}"
    return (
        ""
        if temperature == "1.00"
        else f" Since so few groups judged, its logits are divided by {temperature}."
    )


def left_out(result: Result) -> str:
    """Which candidates `auto` left out for their size, in words; empty where there are none."""
    rows = [
        row
        for a in result.fitted
        for row in a.record.get("candidates", ())
        if row.get("status") == "left out"
    ]
    if not rows:
        return ""
    names = ", ".join(f"{row['name']} ({row['work']:.1g})" for row in rows)
    return (
        f"Left out of auto's choice, as one fit would take more multiplications than evaluate.options.auto.most_work "
        f"allows: {names}. A rule by the numbers of samples, modalities and classes; no clock has a say."
    )
