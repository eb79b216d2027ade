"""A probe's strength without validation: chosen by folds of train that keep groups together, as brute force does."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from ambidex.base.folds import folds
from ambidex.judge import probes
from ambidex.judge.probes import INNER_FOLDS, STRENGTHS, fit_probe

CLASSES = 3


def samples(noise, count=90, seed=0):
    """Features [N, 5] that tell the classes apart under `noise`, labels, and groups of 6 that share a shift."""
    draws = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    centres = np.random.default_rng(9).normal(size=(CLASSES, 5))
    shifts = draws.normal(size=(count // 6, 5)).repeat(6, axis=0)
    features = centres[labels] + noise * (draws.normal(size=(count, 5)) + shifts)
    return torch.from_numpy(features).float(), torch.from_numpy(labels), [f"g{i // 6}" for i in range(count)]


def brute_force(features, labels, groups):
    """Mean NLL out of fold at each strength, by scikit-learn."""
    h, y = features.numpy(), labels.numpy()
    losses = []
    for strength in STRENGTHS:
        total = 0.0
        for held in folds(y, groups, INNER_FOLDS, seed=0):
            rest = np.setdiff1d(np.arange(len(y)), held)
            scaler = StandardScaler().fit(h[rest])
            model = LogisticRegression(C=1 / (strength * len(rest)), max_iter=5000, tol=1e-8)
            model.fit(scaler.transform(h[rest]), y[rest])
            p = model.predict_proba(scaler.transform(h[held]))
            total -= np.log(p[np.arange(len(held)), y[held]]).sum()
        losses.append(total / len(y))
    return losses


@pytest.mark.parametrize("noise", [0.1, 0.8, 4.0])
def test_the_strength_is_that_of_brute_force(noise):
    train, labels, groups = samples(noise)
    losses = brute_force(train, labels, groups)
    rises = [i for i in range(1, len(losses)) if losses[i] >= losses[i - 1]]
    expected = STRENGTHS[(rises or [len(losses)])[0] - 1]
    held, _, _ = samples(noise, seed=1)
    probe = fit_probe({"train": train, "held": held}, {"train": labels}, CLASSES, groups)
    assert probe.strength == expected
    scaler = StandardScaler().fit(train.numpy())
    model = LogisticRegression(C=1 / (expected * len(train)), max_iter=5000, tol=1e-10)
    model.fit(scaler.transform(train.numpy()), labels.numpy())
    expected_p = model.predict_proba(scaler.transform(held.numpy()))
    np.testing.assert_allclose(probe.logits["held"].softmax(1).numpy(), expected_p, atol=2e-4)


def test_noise_and_groups_decide():
    strengths = [
        fit_probe({"train": x}, {"train": y}, CLASSES, g).strength for x, y, g in map(samples, (0.1, 4.0))
    ]
    assert strengths[0] < strengths[1]
    train, labels, groups = samples(0.8)
    mixed = fit_probe({"train": train}, {"train": labels}, CLASSES, [str(i) for i in range(len(labels))])
    apart = fit_probe({"train": train}, {"train": labels}, CLASSES, groups)
    assert (
        mixed.strength < apart.strength
    )  # a shift shared by a group looks like knowledge where folds mix it


def test_of_many_numbers_the_path_is_in_float32_and_the_optimum_is_the_same(monkeypatch):
    features, labels, _ = samples(0.8, count=180)
    split = {"train": features[:120], "val": features[120:]}, {"train": labels[:120], "val": labels[120:]}
    exact = fit_probe(*split, CLASSES)
    monkeypatch.setattr(probes, "_ROUGH_FROM", 0)
    solved = []
    solve = probes._Problem.solve
    monkeypatch.setattr(
        probes._Problem,
        "solve",
        lambda self, *given, **more: solved.append(self) or solve(self, *given, **more),
    )
    rough = fit_probe(*split, CLASSES)
    assert solved[0].rough.dtype == torch.float32
    assert rough.strength == exact.strength
    assert rough.record["gradient_norm"] < 1e-7
    torch.testing.assert_close(rough.weight, exact.weight, atol=1e-6, rtol=0)
