"""Allocators on samples whose truth is known: who should weigh how much, and what `auto` may not lose."""

import pytest
import torch

from ambidex.base.statistics import correct, nll, paired_bootstrap, sample_nll
from ambidex.configuration.params import Evaluate
from ambidex.decide.fitting import fit_allocators
from helpers.evaluations import make_evaluation
from helpers.heldouts import draw, fit, made, said, signal

SEEDS = range(10)
FEW = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in SEEDS[1:])]
"""seeds of what takes a fit of `auto` and many of its folds: one of them fast, all in `make test-all`"""


@pytest.mark.parametrize("seed", SEEDS)
def test_category_finds_who_knows_which_class_and_predicts_better(seed):
    truth = [[3.0, 3.0, 0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 3.0, 3.0, 2.0, 2.0]]
    fitted = fit("category", draw(truth, 240, noise=1.5, seed=seed))
    a = fitted.allocator.factor
    assert (a[0, :2] > a[1, :2]).all()
    assert (a[1, 2:4] > a[0, 2:4]).all()
    new = draw(truth, 1500, noise=1.5, seed=1000 + seed)
    assert nll(said(fitted, new), new.labels) < nll(new.sources["contributions"].sum(1), new.labels)


@pytest.mark.parametrize("name", ["modality", "calibrated", "capability", "stacking"])
def test_who_knows_more_weighs_more(name):
    """Signals of 3, 2 and 1 in equal noise; in 10 of 10 seeds the weights are in that order."""
    for seed in SEEDS:
        held = draw([[3.0] * 4, [2.0] * 4, [1.0] * 4], 240, noise=1.5, seed=seed)
        held = made(held.sources["contributions"], held.labels)
        allocator = fit(name, held, folds=2).allocator
        weights = allocator.inverse if name == "stacking" else allocator.factor[:, 0]
        assert weights[0] > weights[1] > weights[2]


@pytest.mark.parametrize("seed", SEEDS)
def test_imbalance_falls_where_one_is_loud_about_classes_it_knows_little_of(seed):
    """The rows of vision's block for the first two classes, which it half knows, are ten times too large."""
    loud = torch.tensor([[10.0], [10.0], [1.0], [1.0]])
    evaluation = make_evaluation(
        {"audio": [1, 1, 1, 1], "visual": [0.5, 0.5, 1, 1]},
        noise=4.0,
        seed=seed,
        scales={"visual": loud},
        params=Evaluate(resamples=100),
    )
    uniform, modality, category = fit_allocators(evaluation, ["uniform", "modality", "category"])
    for simpler in (uniform, modality):
        assert category.metrics["decision_imbalance"] < simpler.metrics["decision_imbalance"]
        assert category.metrics["nll"] < simpler.metrics["nll"]


def significantly_worse(fitted, new, nats=0.0):
    """Against the plain sum on samples it was not fitted on: in accuracy, or by more than `nats` of NLL, at 5 %."""
    ours, plain = said(fitted, new), new.sources["contributions"].sum(1)
    accuracy = paired_bootstrap(correct(ours, new.labels), correct(plain, new.labels), 500, 0)
    loss = paired_bootstrap(sample_nll(ours, new.labels), sample_nll(plain, new.labels), 500, 0)
    return (accuracy.difference < 0 and accuracy.p < 0.05) or (loss.difference > nats and loss.p < 0.05)


@pytest.mark.parametrize("seed", FEW)
def test_where_all_know_all_classes_alike_auto_is_not_worse_than_the_sum(seed):
    """Signal s^2 in noise s^2 makes contributions that are log-likelihoods: their plain sum is optimal.

    A mixture that keeps an ear for others is not exactly it, and may cost a hundredth of a nat.
    """
    held, new = (draw([[2.25] * 4] * 2, n, noise=1.5, seed=s) for n, s in ((120, seed), (600, 100 + seed)))
    assert not significantly_worse(fit("auto", held), new, nats=0.01)


def test_where_one_knows_what_the_other_does_not_auto_is_better():
    truth = [[3.0, 3.0, 0.0, 0.0], [0.0, 0.0, 3.0, 3.0]]
    held, new = draw(truth, 160, noise=1.5), draw(truth, 600, noise=1.5, seed=100)
    logits = said(fit("auto", held, folds=3), new)
    plain = new.sources["contributions"].sum(1)
    gain = paired_bootstrap(correct(logits, new.labels), correct(plain, new.labels), 500, 0)
    assert gain.low > 0


def speakers(seed, count, each):
    """Every speaker has habits: an own offset for each class that is true, in each class of each modality."""
    draws = torch.Generator().manual_seed(seed)
    labels = torch.arange(count * each) % 4
    who = torch.arange(count * each) // each
    z = signal([[2.0] * 4] * 2, labels) + torch.randn(count * each, 2, 4, generator=draws)
    z = z + torch.randn(count, 4, 2, 4, generator=draws)[who, labels]
    probes = z + 0.3 * torch.randn(z.shape, generator=draws)
    return made(z, labels, [f"speaker{w}" for w in who.tolist()], probes)


@pytest.mark.parametrize("seed", FEW)
def test_on_unseen_speakers_auto_is_not_worse_than_the_sum(seed):
    """The habits of six speakers look like the modalities' own; folds by speaker tell that they are not.

    What is left of them in a mixture's weights costs less than a twentieth of a nat.
    """
    held, new = speakers(seed, 6, 20), speakers(100 + seed, 10, 40)
    assert not significantly_worse(fit("auto", held), new, nats=0.05)


@pytest.mark.slow
def test_folds_that_mix_speakers_would_be():
    """Why groups matter: the same choice from the same samples, each of them taken for a speaker of its own."""
    harm = 0
    for seed in range(5):
        held, new = speakers(seed, 6, 20), speakers(100 + seed, 10, 40)
        mixed = made(held.sources["contributions"], held.labels, None, held.sources["probes"])
        harm += significantly_worse(fit("auto", mixed), new)
    assert harm >= 2
