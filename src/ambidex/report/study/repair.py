"""In words: what is recovered at the decision layer alone, and whether the shipped recipe holds."""

from collections.abc import Sequence
from statistics import fmean

from ambidex.report.clarity import ALONE, ALONE_MANY, judged
from ambidex.report.study.allocators import Effect
from ambidex.report.study.cells import Reports
from ambidex.report.study.claim import UNMEASURED, Verdict
from ambidex.report.study.recipe import DEFAULT_ALLOCATOR, DEFAULT_METHOD, JOINT, Recipe
from ambidex.report.study.rows import HIGHER_IS_BETTER, PLAIN_SUM, Comparison, Row, find
from ambidex.report.words import listed, number, within

STEP_SIZE = f"joint_3: {{use: {JOINT}, train: {{learning_rate: 0.003}}}}"
"""a line of `methods`: joint training at another step size"""
NAMES = {"accuracy": "accuracy", "nll": "NLL"}
NEGLIGIBLE = 0.01
"""below this, the gap to always picking a right modality is too small to say how much of it was closed"""


def repair(reports: Reports, rows: Sequence[Row], effects: Sequence[Effect]) -> Verdict:
    """How much the headline allocators recover at the decision layer alone, and which allocator gains most."""
    question = "How much is recovered at the decision layer alone?"
    headline_rows = [row for row in rows if row.headline and row.repair]
    if not headline_rows:
        remedy = "Not measured: set evaluate.allocator to one that weighs, not the plain sum."
        return Verdict(question, UNMEASURED, [remedy])
    sentences = []
    for name in dict.fromkeys(row.name for row in headline_rows):
        parts = [_recovered(reports, rows, row) for row in headline_rows if row.name == name]
        sentences.append(f"{name} against the plain sum of the same model: {'; '.join(parts)}.")
    return Verdict(
        question, marks_in_words([row.repair for row in headline_rows]), [*sentences, *_extremes(effects)]
    )


def _recovered(reports: Reports, rows: Sequence[Row], row: Row) -> str:
    facts = [row.regime, *_clear(row.repair)]
    plain = find(rows, row.method, row.regime, PLAIN_SUM)
    start = plain.mean["accuracy"] if plain else None
    choices = [
        choice
        for cell, report in reports.found.items()
        if cell[:2] == (row.method, row.regime)
        and (choice := report.details.get("oracle_choice")) is not None
    ]
    gap = fmean(choices) - start if choices and start is not None else 0.0
    if gap >= NEGLIGIBLE:
        part = row.repair["accuracy"]["difference"] / gap
        way = (
            "more than all" if part > 1.005 else f"{part:.0%}"
        )  # probes may beat every choice among the modalities
        facts.append(f"{way} of the way to always picking a modality that is right")
    return f"{_gain(row.repair)} ({', '.join(facts)})"


def _gain(tests: Comparison) -> str:
    """Points and nats with their intervals."""
    return (
        f"{within(tests['accuracy'], 1, 100.0, sign=True)} points, {within(tests['nll'], 3, sign=True)} nats"
    )


def _clear(tests: Comparison) -> list[str]:
    """`accuracy and NLL clearly better`, or clear on their own and why not more; empty where nothing is clear."""
    names_by_words: dict[str, list[str]] = {}
    for metric, name in NAMES.items():
        outcome = judged(tests[metric], HIGHER_IS_BETTER[metric])
        if outcome.clarity != "same":
            names_by_words.setdefault(outcome.words, []).append(name)
    return [
        f"{listed(names)} {words if len(names) == 1 else words.replace(ALONE, ALONE_MANY)}"
        for words, names in names_by_words.items()
    ]


def _extremes(effects: Sequence[Effect]) -> list[str]:
    """The allocators with the highest and the lowest mean gain in accuracy, of those that were fitted everywhere."""
    cells = max((effect.cells for effect in effects), default=0)
    candidates = [effect for effect in effects if effect.cells == cells > 0]
    if len(candidates) < 2:
        return []
    best, worst = (f(candidates, key=lambda e: (e.mean["accuracy"], -e.mean["nll"])) for f in (max, min))
    parts = [
        f"{word} is {e.allocator} ({number(100 * e.mean['accuracy'], 1, sign=True)} points and "
        f"{number(e.mean['nll'], 3, sign=True)} nats)"
        for word, e in (("best", best), ("last", worst))
    ]
    return [f"Of {len(candidates)} allocators that were fitted in {cells} cells, on average {listed(parts)}."]


def shipped(recipe: Recipe) -> Verdict:
    """The recipe that a user gets who sets nothing, against joint training at its best step size and one modality."""
    question = f"Does the shipped recipe ({recipe.name}) hold?"
    if not recipe.against_joint and not recipe.against_single:
        remedy = (
            f"Not measured: add {DEFAULT_METHOD} and {JOINT} to study.methods, and {DEFAULT_ALLOCATOR} to "
            "evaluate.allocators."
        )
        return Verdict(question, UNMEASURED, [remedy])
    sentences = []
    if recipe.best_step:
        chosen = listed(f"{method} ({regime})" for regime, method in recipe.best_step.items())
        sentences.append(
            f"{JOINT} at its own best step size, chosen on validation among {listed(recipe.variants)}: {chosen}."
        )
        if len(recipe.variants) == 1:
            sentences.append(
                f"There is one step size only: add a line such as {STEP_SIZE} to methods, and joint_3 to study.methods."
            )
    for name, tests in (
        (f"{JOINT} at its own best step size with the plain sum", recipe.against_joint),
        ("the best single modality", recipe.against_single),
    ):
        if tests:
            parts = "; ".join(
                f"{_gain(t)} ({', '.join([regime, *_clear(t)])})" for regime, t in tests.items()
            )
            sentences.append(f"Against {name}: {parts}.")
    return Verdict(question, _holds(recipe), sentences)


def _holds(recipe: Recipe) -> str:
    """Worse anywhere against either: no; better somewhere and worse nowhere: yes; else nobody can tell."""
    tests = [
        test[metric]["mark"]
        for tests in (recipe.against_joint, recipe.against_single)
        for test in tests.values()
        for metric in ("accuracy", "nll")
    ]
    worse, better = tests.count("worse"), tests.count("better")
    if worse:
        return f"no: clearly worse in {worse} of {len(tests)}, clearly better in {better}"
    if better:
        return f"yes: clearly better in {better} of {len(tests)}, clearly worse in none"
    return f"undecided: no clear difference in any of {len(tests)}"


def marks_in_words(tests: Sequence[Comparison]) -> str:
    """`accuracy clearly better in 3, worse in 0 of 9`, then NLL; or that nothing is clear, and why not."""
    parts, alone = [], 0
    for metric, name in NAMES.items():
        clarities = [judged(test[metric], HIGHER_IS_BETTER[metric]).clarity for test in tests]
        better, worse = (clarities.count(clarity) for clarity in ("better", "worse"))
        alone += clarities.count("alone")
        parts.append(f"{name} clearly better in {better}, worse in {worse} of {len(clarities)}")
    text = "; ".join(parts)
    return f"{text} ({alone} more {ALONE if alone == 1 else ALONE_MANY})" if alone else text
