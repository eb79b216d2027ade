"""Few groups: where nothing is clear the pool comes first, priors count groups, and the answer is softer."""

import numpy as np
import pytest
import torch

from ambidex.decide.allocators import ALLOCATORS
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


@pytest.mark.parametrize(("size", "expected"), [(1, 1.0), (20, np.exp(0.35 / 6)), (120, np.exp(0.35))])
def test_the_answer_is_softer_the_fewer_groups_judge(size, expected):
    held = in_groups(habitual(count=120), size)
    new = habitual(seed=1, count=30)
    fitted = fit("auto", held, candidates=("modality",), standard_errors=0.0, folds=2)
    name = fitted.allocator.record["chosen"]
    alone = fit(name, held, folds=2)
    assert fitted.temperature == pytest.approx(expected)
    torch.testing.assert_close(said(fitted, new), said(alone, new) / expected)
    parts = fitted.allocate(new.stack(fitted.source))
    torch.testing.assert_close(parts.sum(dim=1), said(fitted, new))
    assert fit("auto", held, candidates=("modality",), caution=0.0).temperature == 1.0


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
