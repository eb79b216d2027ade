"""What one run may be said to show: the lean of its plain sum, and what each allocator changed."""

import torch

from ambidex.base.statistics import Comparison, correct
from ambidex.judge.evaluation import Evaluation
from ambidex.judge.memo import once_per_evaluation
from ambidex.judge.probes import fit_probes
from ambidex.report.clarity import Judgement, judge_changes
from ambidex.report.lean import Lean, draw_lean, judge_lean
from ambidex.report.result import Result

QUESTION = "Does the plain sum lean to one modality?"
METRICS = {"accuracy": True, "nll": False}
"""metric -> whether high is good"""


@once_per_evaluation
def run_lean(evaluation: Evaluation) -> Lean:
    """The lean of the plain sum on test, by the rule of `ambidex.report.lean`; a study follows the same rule."""
    test, params, classes = evaluation.test, evaluation.params, evaluation.classes
    own = fit_probes(evaluation).own
    right = [correct(own[m].logits["test"], test.labels) for m in evaluation.modalities]
    contributions = {m: test.contributions[m] for m in evaluation.modalities}
    draws = draw_lean(
        contributions, torch.stack(right, dim=1), test.labels, len(classes), params.resamples, params.seed
    )
    return judge_lean([draws], evaluation.modalities, classes, params.seed)


def lean_sentence(result: Result) -> list[str]:
    """The question with its answer; empty of a single modality, or where capability was not measured."""
    if len(result.evaluation.modalities) < 2 or "capability" not in result.diagnoses:
        return []
    lean = run_lean(result.evaluation)
    return [f"{QUESTION} {lean.answer.capitalize()}: {lean.words}."]


def judge_allocators(result: Result) -> dict[str, dict[str, Judgement]]:
    """Metric -> allocator -> its difference to the plain sum, judged; without those that were refused."""
    fitted = [a for a in result.fitted if a.against_uniform]
    return {
        metric: judge_changes(
            {a.name: Comparison(**a.against_uniform[metric]) for a in fitted if metric in a.against_uniform},
            result.headline.name,
            high,
        )
        for metric, high in METRICS.items()
    }
