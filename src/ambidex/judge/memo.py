"""What several diagnostics need of one evaluation is computed once and lives as long as the evaluation."""

import functools
import weakref
from collections.abc import Callable
from typing import TypeVar

from ambidex.judge.evaluation import Evaluation

T = TypeVar("T")


def once_per_evaluation(build: Callable[[Evaluation], T]) -> Callable[[Evaluation], T]:
    """Remember `build(evaluation)` by the evaluation's identity (it holds tensors, so it has no hash)."""
    results: dict[int, T] = {}

    @functools.wraps(build)
    def remembered(evaluation: Evaluation) -> T:
        key = id(evaluation)
        if key not in results:
            results[key] = build(evaluation)
            weakref.finalize(evaluation, results.pop, key, None)
        return results[key]

    return remembered
