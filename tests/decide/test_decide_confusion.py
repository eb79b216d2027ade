"""Confusion tables by hand and by loops over samples, and the choice of their prior."""

import json
import math

import numpy as np
import pytest
import torch
from scipy.special import softmax

from ambidex.base.folds import folds
from ambidex.base.statistics import nll
from ambidex.decide.allocators._confusion import evidence_tables
from helpers.heldouts import draw, fit, habitual, said
from helpers.likelihoods import arrays, mean_nll, pool_of


def test_tables_of_three_classes_by_hand():
    """Counts (1, 3/4, 1/4), (1/2, 1/2, 0), (0, 0, 1); the true class has 5/8 on average, the others 3/16 each."""
    q = np.array([[[0.5, 0.25, 0.25], [0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]])
    labels = np.array([0, 0, 1, 2])
    ratios = [[9 / 10, 3 / 2, 5 / 6], [14 / 9, 14 / 15, 2 / 3], [2 / 3, 2 / 3, 6 / 5]]
    np.testing.assert_allclose(evidence_tables(q, labels, 2.0), np.log([ratios]), atol=1e-12)


def test_a_table_without_habits_and_an_endless_prior_give_no_evidence():
    even = np.array([[[0.6, 0.2, 0.2], [0.2, 0.6, 0.2], [0.2, 0.2, 0.6]]])
    np.testing.assert_allclose(evidence_tables(even, np.arange(3), 5.0), 0, atol=1e-12)
    assert np.abs(evidence_tables(np.eye(3)[None, [0, 2, 1]], np.arange(3), 1e9)).max() < 1e-6


def test_sure_and_never_wrong_stays_finite():
    assert np.isfinite(evidence_tables(np.eye(3)[None], np.arange(3), 3.0)).all()
    assert evidence_tables(np.ones((2, 4, 1)), np.zeros(4, dtype=np.int64), 3.0).tolist() == [[[0.0]]] * 2


def tables_of(held, inverse, strength):
    """log T / t by loops over modalities, samples and classes: [M][C][C]."""
    p, y = arrays(held, "probes")
    _, modalities, classes = p.shape
    found = np.zeros((modalities, classes, classes))
    for m in range(modalities):
        q = [softmax(row * inverse[m]) for row in p[:, m]]
        right = sum(q[n][y[n]] for n in range(len(y))) / len(y)
        for c in range(classes):
            mine = [q[n] for n in range(len(y)) if y[n] == c]
            if len(mine) < 2:
                continue
            for k in range(classes):
                plain = right if k == c else (1 - right) / (classes - 1)
                table = (sum(row[k] for row in mine) + strength * plain) / (len(mine) + strength)
                found[m, c, k] = math.log(table / plain)
    return found


def evidence_of(held, inverse, tables):
    """What the tables add to the logits of each sample, by loops: [N, C]."""
    p, y = arrays(held, "probes")
    found = np.zeros((len(y), p.shape[2]))
    for n in range(len(y)):
        for m in range(p.shape[1]):
            q = softmax(p[n, m] * inverse[m])
            for c in range(p.shape[2]):
                found[n, c] += sum(q[k] * tables[m][c][k] for k in range(p.shape[2]))
    return found


def logits_of(held, fitted_on, strength):
    """The whole allocator from its definition, SciPy's pool and the loops above."""
    factor, inverse, _ = pool_of(fitted_on, 4.0)
    x = np.concatenate([arrays(held)[0], arrays(held, "probes")[0]], axis=1)
    pool = np.einsum("nmc,m->nc", x, factor)
    if strength == math.inf:
        return pool
    return pool + evidence_of(held, inverse, tables_of(fitted_on, inverse, strength))


def test_confusion_is_the_pool_and_the_evidence_of_the_tables():
    held, new = habitual(), habitual(seed=1, count=60)
    fitted = fit("confusion", held, strengths=(10.0,))
    assert fitted.allocator.record["strength"] == 10.0
    np.testing.assert_allclose(said(fitted, new).numpy(), logits_of(new, held, 10.0), atol=5e-3)
    inverse = pool_of(held, 4.0)[1]
    np.testing.assert_allclose(fitted.allocator.tables.numpy(), tables_of(held, inverse, 10.0), atol=1e-4)


def test_the_strength_is_judged_on_samples_that_were_not_counted():
    held = habitual()
    fitted = fit("confusion", held, strengths=(30.0, 3.0), folds=2, seed=4)
    losses = {math.inf: 0.0, 30.0: 0.0, 3.0: 0.0}
    everything = np.arange(len(held.labels))
    for rows in folds(held.labels.numpy(), held.groups, 2, 4):
        outside, inside = held.subset(np.setdiff1d(everything, rows)), held.subset(rows)
        for strength in losses:
            mean = mean_nll(logits_of(inside, outside, strength), inside.labels.numpy())
            losses[strength] += mean * len(rows) / len(everything)
    recorded = fitted.allocator.record["cross_validated_nll"]
    assert recorded == pytest.approx({str(s): loss for s, loss in losses.items()}, abs=1e-4)
    assert list(recorded) == ["inf", "30.0", "3.0"]  # the order in which the simpler one is kept


@pytest.mark.parametrize("name", ["modality", "calibrated", "pooled"])
def test_habits_are_worth_more_than_a_weight(name):
    held, new = habitual(), habitual(seed=1, count=600)
    mine, theirs = said(fit("confusion", held), new), said(fit(name, held), new)
    assert nll(mine, new.labels) < nll(theirs, new.labels) - 0.02


def test_without_a_clear_gain_confusion_is_the_pool():
    held = draw([[2.0] * 3] * 2)
    fitted = fit("confusion", held)
    assert fitted.allocator.record["strength"] is None
    assert not fitted.allocator.tables.any()
    torch.testing.assert_close(said(fitted, held), said(fit("pooled", held), held))


def test_classes_with_too_few_samples_have_no_habits_and_are_listed():
    held = habitual()
    kept = held.labels != 2
    kept[(held.labels == 2).nonzero()[0]] = True
    few = held.subset(kept.nonzero()[:, 0])
    fitted = fit("confusion", few, strengths=(10.0,))
    assert fitted.allocator.record["fallback_classes"] == [2]
    assert fitted.allocator.record["strength"] == 10.0
    assert not fitted.allocator.tables[:, 2].any()
    assert fitted.allocator.tables[:, :2].all()
    json.dumps(fitted.allocator.record, allow_nan=False)
