"""Adapting without labels: made-up groups whose truth is known, and a posterior by brute force."""

from itertools import product

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from ambidex.decide.adaptation.adapting import adapt
from ambidex.decide.adaptation.lapses import (
    BROKEN,
    GRID,
    WORTH,
    class_posterior,
    fit_lapse_prior,
    infer,
    log_beta,
)
from ambidex.decide.adaptation.prior import AdaptationPrior
from ambidex.decide.adaptation.typicality import FARTHEST, LIMITS, Typicality, _against
from ambidex.net.encoded import Encoded, features_of

CLASSES, DIM = 4, 6
NAMES = ("touch", "audio", "visual")
CENTRES = torch.randn((3, CLASSES, DIM), generator=torch.Generator().manual_seed(3)) * 1.5


def group(seed: int, count: int, names: tuple[str, ...] = NAMES) -> tuple[dict[str, Tensor], Tensor]:
    """Samples whose features are Gaussian around their class's centre, in every modality."""
    draws = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (count,), generator=draws)
    return {
        m: CENTRES[i][labels] + torch.randn((count, DIM), generator=draws) for i, m in enumerate(names)
    }, labels


def fitted(names: tuple[str, ...] = NAMES) -> AdaptationPrior:
    """With the exact classifier of each modality as its probe, on eight groups of 40."""
    prior = AdaptationPrior(dict.fromkeys(names, DIM), CLASSES)
    parts = [group(seed, 40, names) for seed in range(8)]
    labels = torch.cat([own for _, own in parts])
    groups = [str(k // 40) for k in range(len(labels))]
    opinions = []
    for i, m in enumerate(names):
        h = torch.cat([features[m] for features, _ in parts])
        prior.probe(m).load(h.mean(dim=0), CENTRES[i].double(), -CENTRES[i].double().square().sum(1) / 2)
        prior.typicality(m).fit(h, groups)
        opinions.append(prior.probe(m)(h))
    prior.fit(torch.stack(opinions, dim=1), labels, groups)
    return prior


def broken(features: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """The features of one modality belong to other samples: as typical as ever, and worth nothing."""
    order = torch.randperm(len(features[name]), generator=torch.Generator().manual_seed(9))
    return features | {name: features[name][order]}


def ratios(seed: int, count: int, modalities: int = 2) -> np.ndarray:
    draws = np.random.default_rng(seed)
    return draws.dirichlet(np.full(3, 0.4), size=(count, modalities)) * 3


def test_the_posterior_of_two_modalities_is_that_of_brute_force() -> None:
    """All hypotheses and all pairs of rates, summed over the whole grid."""
    priors = np.stack([log_beta(0.05, 4.0), log_beta(0.2, 8.0)])
    q, shares, odds = ratios(0, 12), np.full(3, 1 / 3), np.array([0.5, -0.5])
    flat = np.full(len(GRID), -np.log(len(GRID)))
    total, rates, sick = 0.0, np.zeros(2), np.zeros(2)
    for which, (i, j) in product(((), (0,), (1,)), product(range(len(GRID)), repeat=2)):
        e = GRID[[i, j]]
        prior = [flat if m in which else priors[m] for m in (0, 1)]
        mixture = (1 - e)[:, None] * q + e[:, None]
        likelihood = (shares * mixture[:, 0] * mixture[:, 1]).sum(axis=1).prod() ** WORTH
        weight = likelihood * np.exp(prior[0][i] + prior[1][j])
        for m in (0, 1):
            weight *= BROKEN * np.exp(odds[m]) if m in which else 1 - BROKEN
        total, rates = total + weight, rates + weight * e
        sick += weight * np.array([m in which for m in (0, 1)])
    posterior = infer(q, shares, priors, odds)
    np.testing.assert_allclose(posterior.lapse, rates / total, atol=0.02)
    np.testing.assert_allclose(posterior.broken, sick / total, atol=0.02)


def test_two_modalities_cannot_be_told_apart_by_agreement_alone() -> None:
    priors = np.repeat(log_beta(0.05, 4.0)[None], 2, axis=0)
    q = ratios(1, 60)
    one, other = (infer(x, np.full(3, 1 / 3), priors, np.zeros(2)).lapse for x in (q, q[:, ::-1]))
    np.testing.assert_allclose(one, other, atol=0.02)
    assert one[0] == pytest.approx(one[1], abs=0.02)


def test_a_class_posterior_is_bayes_rule() -> None:
    q, shares = ratios(2, 5), np.array([0.5, 0.3, 0.2])
    joint = shares * (0.9 * q[:, 0] + 0.1) * (0.6 * q[:, 1] + 0.4)
    expected = joint / joint.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(class_posterior(q, shares, np.array([0.1, 0.4])), expected)


def test_the_prior_of_lapses_is_as_wide_as_groups_differ() -> None:
    sure, lost = np.full(400, 3.9), np.full(400, 0.02)
    alike = [np.where(np.arange(400) % 5, sure, lost) for _ in range(6)]
    apart = [np.where(np.arange(400) % 100 < share, lost, sure) for share in (0, 0, 5, 40, 60, 80)]
    (mean, concentration), (_, loose) = fit_lapse_prior(alike), fit_lapse_prior(apart)
    assert mean == pytest.approx(0.25, abs=0.1)
    assert concentration > 4 * loose


def test_what_features_say_is_the_ratio_of_two_densities() -> None:
    expected = stats.cauchy.logpdf(0.7, scale=FARTHEST) - stats.t.logpdf(0.7, 5, scale=0.2)
    assert _against(0.7, 0.2, 5) == pytest.approx(expected)


def test_features_that_are_far_too_near_or_frozen_are_not_typical() -> None:
    typicality = fitted().typicality("touch")
    h = group(50, 60)[0]["touch"]

    def odds(features: Tensor) -> float:
        return typicality.log_odds(typicality.moments(features))

    assert odds(h) < 0
    for changed in (h * 4, h * 0.1, h[:1].expand(60, -1), torch.zeros_like(h)):
        assert odds(changed) == LIMITS[1]
    assert Typicality(DIM).log_odds(typicality.moments(h)) == 0.0  # nothing fitted, nothing to say


def test_one_of_three_that_says_nothing_is_recognised_and_its_accuracy_estimated() -> None:
    prior = fitted()
    features, labels = group(60, 200)
    features = broken(features, "audio")
    adaptation = adapt(prior, features)
    assert adaptation.refusal is None
    assert adaptation.broken.round().tolist() == [0, 1, 0]
    assert adaptation.factor[1] < 0.2
    assert adaptation.factor[[0, 2]].min() > 0.95
    right = [(prior.probe(m)(h).argmax(1) == labels).double().mean().item() for m, h in features.items()]
    np.testing.assert_allclose(adaptation.accuracy, right, atol=0.06)
    parts = torch.ones(2, 3, CLASSES)
    torch.testing.assert_close(adaptation.apply(parts)[0, :, 0], adaptation.factor)


@pytest.mark.parametrize("count", [1, 8, 200])
def test_a_group_like_validation_is_left_alone_exactly(count: int) -> None:
    adaptation = adapt(fitted(), group(61, count)[0])
    assert adaptation.refusal
    assert f"of {count} sample{'s' * (count > 1)} show no" in adaptation.refusal
    parts = torch.randn(2, 3, CLASSES)
    assert torch.equal(adaptation.apply(parts), parts)


def test_with_two_modalities_features_say_which_one() -> None:
    names = NAMES[:2]
    prior, (features, _) = fitted(names), group(62, 80, names)
    for place, name in enumerate(names):
        adaptation = adapt(prior, features | {name: features[name][:1].expand(80, -1)})
        assert adaptation.broken.argmax() == place
        assert adaptation.factor[place] < 0.5 < adaptation.factor[1 - place]


def test_batches_one_after_another_are_one_batch_and_forgetting_forgets() -> None:
    prior, (features, _) = fitted(), group(63, 120)
    ill = broken(features, "audio")
    parts = [{m: h[start : start + 40] for m, h in ill.items()} for start in (0, 40, 80)]
    state = None
    for part in parts:
        adaptation = adapt(prior, part, state)
        state = adaptation.state
    np.testing.assert_allclose(adaptation.lapse, adapt(prior, ill).lapse, atol=0.05)
    assert adaptation.samples == 120
    mended = adapt(prior, features, state, forgetting=0.0)
    np.testing.assert_allclose(mended.lapse, adapt(prior, features).lapse, atol=1e-12)
    assert adapt(prior, features, state, forgetting=0.5).samples == 180


def test_a_modality_that_samples_lack_is_judged_by_those_that_have_it() -> None:
    prior, (features, _) = fitted(), group(64, 80)
    has = torch.arange(80) < 40
    ill = broken({m: h[:40] for m, h in features.items()}, "audio")
    padded = {m: torch.cat([ill[m], features[m][40:]]) for m in NAMES}
    padded["audio"][40:] = 1e4  # nobody looks at it
    whole = features_of({m: Encoded(h, present=has if m == "audio" else None) for m, h in padded.items()})
    adaptation, alone = adapt(prior, whole), adapt(prior, ill)
    np.testing.assert_allclose(adaptation.lapse, alone.lapse, atol=0.05)
    np.testing.assert_allclose(adaptation.accuracy[1], alone.accuracy[1], atol=0.05)


@pytest.mark.parametrize(("count", "forgetting"), [(0, 1.0), (3, 1.5), (3, -0.1)])
def test_no_samples_and_another_forgetting_are_refused(count: int, forgetting: float) -> None:
    with pytest.raises(ValueError, match=r"forgetting|no samples"):
        adapt(fitted(), group(65, count)[0], forgetting=forgetting)


def test_a_sample_that_says_nothing_finite_does_not_cost_the_others() -> None:
    """The others say what they say without it; and where it is alone, nothing changes."""
    prior = fitted()
    clean, _ = group(50, 12)
    features = broken(clean, "audio")
    features = {name: torch.cat([h, torch.full((1, DIM), 3e38)]) for name, h in features.items()}
    expected, adaptation = adapt(prior, broken(clean, "audio")), adapt(prior, features)
    assert expected.refusal is None
    assert adaptation.samples == 12
    assert adaptation.factor.equal(expected.factor)
    alone = adapt(prior, {name: h[-1:] for name, h in features.items()})
    assert alone.refusal.startswith("agreement and features of 0 samples show no modality")
    assert alone.factor.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("shares", [-0.5, 0.5, 0.5, 0.5], "shares: expected numbers above 0 that add up to 1"),
        ("shares", 0.3, "shares: expected numbers above 0 that add up to 1"),
        ("inverse", -1.0, "inverse: expected numbers of 0 or more"),
        ("lapse", 2.0, "lapse: expected means between 0 and 1"),
        ("features.audio.usual", -1.0, "features.audio.usual: expected deviations above 0"),
        ("features.audio.axes", torch.nan, "features.audio.axes: expected finite numbers"),
    ],
)
def test_numbers_that_no_fit_leaves_behind_are_named(
    name: str, value: float | list[float], message: str
) -> None:
    prior, unfitted = fitted(), AdaptationPrior(dict.fromkeys(NAMES, DIM), CLASSES)
    assert prior.damage() is None
    assert unfitted.damage() is None  # as of few samples, of which features say nothing
    prior.state_dict()[name].copy_(torch.tensor(value))
    assert prior.damage() == message
