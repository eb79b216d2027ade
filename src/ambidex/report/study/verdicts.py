"""A study's outcome in words: wins, nulls and losses in the same tone."""

from collections.abc import Sequence

from ambidex.configuration.params import Params
from ambidex.report.clarity import ALONE, ALONE_MANY
from ambidex.report.study.allocators import Effect
from ambidex.report.study.bias import Bias
from ambidex.report.study.cells import Reports
from ambidex.report.study.claim import UNMEASURED, Verdict, claim
from ambidex.report.study.reasons import reasons
from ambidex.report.study.recipe import Recipe
from ambidex.report.study.repair import marks_in_words, repair, shipped
from ambidex.report.study.rows import Row, judgement
from ambidex.report.words import listed, number
from ambidex.resolve.cell import Cell


def verdicts(
    reports: Reports,
    rows: Sequence[Row],
    biases: Sequence[Bias],
    recipe: Recipe,
    effects: Sequence[Effect],
    params: Params,
    methods: Sequence[Cell],
) -> list[Verdict]:
    """The paper's three questions, then repair, the shipped recipe, and the table as a whole."""
    fused = [row for row in rows if row.kind == "fused"]
    return [
        *claim(biases, params.compare.reference_method, methods),
        repair(reports, fused, effects),
        shipped(recipe),
        Verdict(
            "Does fusing pay?",
            _pays(fused),
            [
                *_missing(fused),
                *_against_reference(fused, params),
                *_against_single(fused),
                *reasons(reports, fused),
            ],
        ),
    ]


def _pays(rows: Sequence[Row]) -> str:
    tests = [row.single["tests"] for row in rows if row.headline and row.single.get("tests")]
    return marks_in_words(tests) if tests else UNMEASURED


def _against_single(rows: Sequence[Row]) -> list[str]:
    """The reference and the headline of each method against the best single modality, seed by seed."""
    tested_rows = [row for row in rows if (row.reference or row.headline) and row.single.get("seeds")]
    sentences = []
    for name in dict.fromkeys(row.name for row in tested_rows):
        parts = []
        for row in tested_rows:
            if row.name == name:
                won, seeds = row.single["seeds_at_least"], row.single["seeds"]
                difference = number(100 * row.single["mean_difference"], 1, sign=True)
                parts.append(
                    f"{won} of {seeds} seed{'s' * (seeds > 1)} ({row.regime}, {difference} points on average)"
                )
        sentences.append(f"{name} is at least as accurate as the best single modality in {listed(parts)}.")
    return sentences


def _against_reference(rows: Sequence[Row], params: Params) -> list[str]:
    compare = params.compare
    name = f"{compare.reference_method} + {compare.reference_allocator}"
    sentences = []
    for metric, word in (("accuracy", "accuracy"), ("nll", "NLL")):
        marks = [outcome.clarity for row in rows if (outcome := judgement(row.tests, metric))]
        if marks:
            better, worse, same, alone = (marks.count(mark) for mark in ("better", "worse", "same", "alone"))
            own = f", {alone} of them {ALONE if alone == 1 else ALONE_MANY}" if alone else ""
            sentences.append(
                f"In {word}, of {len(marks)} rows compared with {name} of the same regime, {better} are clearly "
                f"better, {worse} clearly worse, and {same + alone} neither{own} (new seeds on new samples, "
                f"Holm-corrected, level {compare.significance:g})."
            )
    if regimes := sorted({row.regime for row in rows if row.reference and not row.per_seed}):
        sentences.append(f"The reference {name} is missing in {listed(regimes)}, so nothing is tested there.")
    if not any(row.reference for row in rows):
        sentences.append(f"The reference {name} is not in this study, so no difference is tested.")
    return sentences


def _missing(rows: Sequence[Row]) -> list[str]:
    """What is not in the table, and why."""
    sentences = []
    if missing := {(r.regime, r.method, tuple(r.missing)) for r in rows if r.missing}:
        parts = "; ".join(f"{m} ({r}) seed {', '.join(map(str, seeds))}" for r, m, seeds in sorted(missing))
        sentences.append(f"The study is unfinished; missing: {parts}.")
    if refused := sum(bool(row.refused) for row in rows):
        sentences.append(
            f"Allocators were refused in {refused} of {len(rows)} rows; the reasons stand below the table."
        )
    return sentences
