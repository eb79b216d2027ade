"""The headline on held-out samples, judged without their fold: against a loop by hand."""

import numpy as np
import pytest
import torch

from ambidex.base.folds import folds
from ambidex.decide.cross_validated import cross_validated
from ambidex.decide.fitting import fit_allocators, held_out
from ambidex.testing import diagnostics


@pytest.mark.parametrize("name", ["uniform", "scale"])
def test_each_sample_is_judged_by_a_fit_without_its_fold(name):
    evaluation = diagnostics.evaluated(("audio", "visual"))
    allocation = next(a for a in fit_allocators(evaluation, ["uniform", name]) if a.name == name)
    scores = cross_validated(evaluation, allocation)
    samples = held_out(evaluation)
    z, labels = samples.sources["contributions"].double().sum(dim=1), samples.labels
    for fold in folds(labels.numpy(), samples.groups, evaluation.params.folds, evaluation.params.seed):
        rest = np.setdiff1d(np.arange(len(labels)), fold)
        scale = 1.0 if name == "uniform" else _scale(z[rest], labels[rest])
        expected = torch.nn.functional.cross_entropy(scale * z[fold], labels[fold], reduction="none")
        torch.testing.assert_close(scores.losses[fold], expected, rtol=1e-4, atol=1e-5)
    assert scores.units.unique().numel() == len(set(samples.groups))
    assert scores.hits.mean() == pytest.approx(float((z.argmax(dim=1) == labels).double().mean()))


def _scale(z, labels):
    """The penalised maximum of the likelihood over a fine grid (prior N(1, 1/4))."""
    grid = torch.linspace(0.05, 3, 20_001, dtype=torch.float64)
    values = torch.stack([
        torch.nn.functional.cross_entropy(s * z, labels, reduction="sum") + 2 * (s - 1) ** 2 for s in grid
    ])  # fmt: skip
    return float(grid[values.argmin()])
