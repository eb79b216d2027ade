"""Few groups: where nothing is clear the pool comes first, priors count groups, and the answer is softer."""

import numpy as np
import pytest
import torch

from ambidex.decide.allocators import ALLOCATORS, auto
from ambidex.decide.allocators._caution import surer_by
from helpers.heldouts import draw, fit, habitual, made, said


def in_groups(held, size):
    """The same samples, `size` in a row to a group."""
    groups = [f"g{i // size}" for i in range(len(held.labels))]
    return made(held.sources["contributions"], held.labels, groups, held.sources["probes"])


@pytest.mark.parametrize("candidates", [("pooled", "scale", "modality"), ("modality", "pooled")])
def test_one_speaker_is_heard_through_the_pool(candidates):
    """Head and probes know as much as each other: nothing is clear, and no weight is worth a gain of chance."""
    fitted = fit("auto", in_groups(draw([[2.0] * 3] * 2, 60), 60), candidates=candidates)
    assert fitted.allocator.record["chosen"] == "pooled"
    assert fitted.source == "both"
    without = fit("auto", in_groups(draw([[2.0] * 3] * 2, 60), 60), candidates=("norm",))
    assert without.allocator.record["chosen"] == "uniform"


def test_a_clear_gain_is_taken_from_one_speaker_too():
    """The probes are noise, and the head is right: the plain sum beats the pool by more than speakers differ."""
    held = draw([[3.0] * 3] * 2, 120)
    noise = 20 * torch.randn((120, 2, 3), generator=torch.Generator().manual_seed(0))
    held = made(held.sources["contributions"], held.labels, ["one"] * 120, noise)
    losses = fit("auto", held, candidates=("pooled",), standard_errors=0.0).allocator.record
    assert losses["chosen"] == "uniform"


@pytest.mark.parametrize(("size", "groups"), [(1, None), (20, 6), (120, 1)])
@pytest.mark.parametrize("louder", [1.0, 3.0])
def test_the_answer_is_softer_the_fewer_groups_judge(size, groups, louder):
    """One kind of candidate multiplies the sum: three times as loud, it is as sure as the sum at a temperature of 3."""
    held = in_groups(habitual(count=120), size)
    new = habitual(seed=1, count=30)

    class Louder(ALLOCATORS.get("uniform")):
        @classmethod
        def fit(cls, config, contributions, labels, groups):
            return cls.fitted(config, np.full((1, 1), louder), contributions.shape, {})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auto, "ALLOCATORS", {"uniform": ALLOCATORS.get("uniform"), "pooled": Louder})
        patch.setattr(auto, "simplest_first", len)
        patch.setattr(auto, "allocator_config", lambda name, options, folds, seed: Louder.Config())
        fitted = fit("auto", held, candidates=("pooled",), standard_errors=100.0)
    expected = 1.0 if groups is None else max(louder, np.exp(0.2)) ** (1 / groups)
    assert fitted.allocator.record["chosen"] == "pooled"
    assert fitted.temperature == pytest.approx(expected)
    z = new.sources["contributions"]
    torch.testing.assert_close(said(fitted, new), z.sum(dim=1) * louder / fitted.temperature)
    torch.testing.assert_close(fitted.allocate(z), z * louder / fitted.temperature)


def test_what_is_softer_than_the_sum_already_stays():
    z = torch.randn((50, 3), generator=torch.Generator().manual_seed(0))
    assert surer_by(z / 2, z) == 1.0
    assert surer_by(1e3 * z, 1e-6 * z) == pytest.approx(20.0)
    assert surer_by(5 * z, z) == pytest.approx(5.0)


@pytest.mark.parametrize("name", ["scale", "modality", "pooled", "temperature", "capability"])
def test_a_prior_counts_groups_as_if_each_were_a_few_samples(name):
    """Ten samples of one group are worth 10 / 1.9: the fit is that of a prior 1.9 times as precise."""
    held = in_groups(habitual(), 10)
    kind = ALLOCATORS.get(name)
    by_hand = kind.fit(
        kind.Config(shrinkage=4 * 1.9), held.stack(kind.source or "contributions"), held.labels, held.groups
    )
    alike = fit(name, held)
    assert alike.source == (kind.source or "contributions")
    for key, values in by_hand.state_dict().items():
        assert torch.equal(values, alike.allocator.state_dict()[key])
    assert alike.allocator.config.shrinkage == 4.0  # what was asked for
