"""Everything that a study found, in one place for files and page."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ambidex.configuration.params import Params
from ambidex.report.study.allocators import Effect, effects
from ambidex.report.study.bias import Bias, biases
from ambidex.report.study.cells import Reports
from ambidex.report.study.choice import Choice, choose
from ambidex.report.study.claim import Verdict
from ambidex.report.study.detectable import Power
from ambidex.report.study.measured import measured_rows
from ambidex.report.study.methods import MethodRow, method_rows
from ambidex.report.study.power import study_power
from ambidex.report.study.recipe import Recipe, judge_recipe
from ambidex.report.study.rows import PLAIN_SUM, Row
from ambidex.report.study.significance import with_tests
from ambidex.report.study.verdicts import verdicts
from ambidex.resolve.cell import resolve


@dataclass(frozen=True)
class Study:
    """The outcome of a study."""

    rows: list[Row]
    biases: list[Bias]
    recipe: Recipe
    effects: list[Effect]
    verdicts: list[Verdict]
    methods: list[MethodRow] = field(default_factory=list)
    power: Power | None = None
    """the smallest difference that it could have shown; None where nothing was compared"""
    choice: Choice = field(default_factory=lambda: Choice(None))
    """which method and regime to take, by held-out samples"""

    def to_json(self) -> dict[str, Any]:
        """As JSON-serialisable values: what compare.json holds."""
        return {
            "rows": [row.to_json() for row in self.rows],
            "bias": [bias.to_json() for bias in self.biases],
            "recipe": self.recipe.to_json(),
            "allocators": [effect.to_json() for effect in self.effects],
            "verdicts": [verdict.to_json() for verdict in self.verdicts],
            "methods": [row.to_json() for row in self.methods],
            "power": self.power.to_json() if self.power else None,
            "choice": self.choice.to_json(),
        }


def judge(reports: Reports, params: Params, encoders: Path | None) -> Study:
    """Measure, test and put into words. `encoders`: pretrain's outputs, `<seed>/<modality>`, where there are any."""
    measured = measured_rows(reports, params, encoders)
    cells = [resolve(params, label) for label in params.study.methods]
    recipe = judge_recipe(measured, params, cells)
    best = {(method, regime, PLAIN_SUM) for regime, method in recipe.best_step.items()}
    rows = [
        replace(row, best_step=(row.method, row.regime, row.allocator) in best)
        for row in with_tests(measured, params.compare)
    ]
    bias_rows, allocator_effects = biases(reports, params), effects(rows)
    answers = verdicts(reports, rows, bias_rows, recipe, allocator_effects, params, cells)
    methods, power = method_rows(reports, rows, params), study_power(measured, params.compare)
    choice = choose(reports, cells, encoders)
    return Study(rows, bias_rows, recipe, allocator_effects, answers, methods, power, choice)
