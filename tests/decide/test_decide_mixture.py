"""`mixture`: its weights by brute force, its probabilities by hand, and what it is worth where nobody is right."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from ambidex.base.errors import ParamsError
from ambidex.base.statistics import nll
from ambidex.decide.allocators import ALLOCATORS, mixture
from ambidex.decide.allocators._mixing import mix, mixing_weights, trust
from ambidex.decide.options import allocator_config
from helpers.heldouts import draw, fit, habitual, made, said

PAIR = ("scale", "pooled")


@pytest.mark.parametrize("prior", [0.3, 5.0, 1e4])
def test_weights_by_brute_force(prior):
    losses = np.random.default_rng(0).exponential(size=(3, 40)) + np.array([[0.0], [0.3], [0.6]])
    before = np.array([1.0, 2.0, 1.0])

    def objective(u):
        w = np.exp(u - np.logaddexp.reduce(u))
        return -np.log(w @ np.exp(-losses)).sum() - prior * (before / before.sum()) @ np.log(w)

    u = minimize(objective, np.zeros(3), method="BFGS", options={"gtol": 1e-8}).x
    expected = np.exp(u - np.logaddexp.reduce(u))
    np.testing.assert_allclose(mixing_weights(losses, before, prior), expected, atol=1e-5)


def test_losses_that_are_huge_are_weighed_too():
    weights = mixing_weights(np.array([[1e5, 1e5], [1e5 + 900, 1e5 + 900]]), np.ones(2), 1.0)
    np.testing.assert_allclose(weights, [2.5 / 3, 0.5 / 3], atol=1e-6)


def test_the_mean_of_probabilities():
    z, w = torch.randn((3, 20, 4), dtype=torch.float64), torch.tensor([0.2, 0.0, 0.8], dtype=torch.float64)
    expected = 0.2 * z[0].softmax(1) + 0.8 * z[2].softmax(1)
    torch.testing.assert_close(mix(z, w).softmax(1), expected)
    torch.testing.assert_close(mix(z[:1], w.new_ones(1)), z[0])


def test_it_says_the_mean_of_what_its_members_say():
    held, new = habitual(), habitual(seed=1, count=50)
    fitted = fit("mixture", held, members=PAIR)
    weights = fitted.allocator.record["mixing"]
    assert list(weights) == ["uniform", "scale", "pooled"]
    assert sum(weights.values()) == pytest.approx(1.0)
    expected = sum(w * said(fit(name, held), new).softmax(1) for name, w in weights.items())
    torch.testing.assert_close(said(fitted, new).softmax(1), expected, atol=1e-6, rtol=1e-5)


def test_some_rows_at_a_time_say_what_all_say_together(monkeypatch):
    held, new = habitual(), habitual(seed=1, count=50)
    fitted = fit("mixture", held, members=PAIR)
    together = said(fitted, new)
    for numbers in (1, 200):  # a row each time; some rows, the last block smaller
        monkeypatch.setattr(mixture, "_AT_ONCE", numbers)
        torch.testing.assert_close(said(fitted, new), together, atol=1e-6, rtol=1e-5)


def test_own_heads_stand_in_where_contributions_are_no_classifiers():
    held = draw([[2.0] * 3] * 2)
    sources = {"contributions": -0.1 * held.sources["contributions"], "probes": held.sources["probes"]}
    heads = made(held.sources["contributions"], held.labels, held.groups)
    for extra, expected in (({}, "probes"), ({"own_heads": heads.sources["contributions"]}, "own_heads")):
        seen = type(held)(held.modalities, held.labels, held.groups, {**sources, **extra})
        fitted = fit("mixture", seen, members=("temperature",))
        assert fitted.allocator.record["reads"] == {"uniform": "contributions", "temperature": expected}
        alone = said(fit("temperature", seen), seen).softmax(1)
        plain = sources["contributions"].sum(1).softmax(1)
        w = fitted.allocator.record["mixing"]
        expected_mean = w["temperature"] * alone + w["uniform"] * plain
        torch.testing.assert_close(said(fitted, seen).softmax(1), expected_mean, atol=1e-6, rtol=1e-5)


def test_groups_leave_more_to_the_weights_before():
    """Ten samples of a group say as much as 10 / 1.9, so the weights lie nearer to those before."""
    held = draw([[3.0] * 3, [0.1] * 3], 120, seed=2)
    grouped = made(
        held.sources["contributions"],
        held.labels,
        [f"g{i // 10}" for i in range(120)],
        held.sources["probes"],
    )
    config = ALLOCATORS.get("mixture").Config(members=PAIR)
    assert config.for_groups(grouped.groups).prior == pytest.approx(1.9)
    assert config.for_groups(held.groups).prior == 1.0


def test_before_anything_was_seen_both_opinions_count_more_than_one():
    shares = {name: trust(ALLOCATORS.get(name)) for name in ("uniform", "temperature", "ensemble", "pooled")}
    assert shares == {"uniform": 0.5, "temperature": 1.0, "ensemble": 1.0, "pooled": 2.0}


def test_auto_mixes_all_other_candidates():
    held = draw([[2.0] * 3] * 2, 60, group_size=10)
    fitted = fit("auto", held, candidates=("mixture", "norm", "temperature"))
    assert fitted.allocator.record["chosen"] == "mixture"
    assert fitted.source == "opinions"
    assert set(fitted.allocator.record["mixing"]) == {"uniform", "norm", "temperature"}
    rows = {row["name"]: row["nll"] for row in fitted.allocator.record["candidates"]}
    assert nll(fitted.crossed, held.labels) == pytest.approx(rows["mixture"])
    alone = fit("mixture", held, members=("norm", "temperature"))
    torch.testing.assert_close(
        said(alone, held), said(fitted, held) * fitted.temperature, atol=1e-5, rtol=1e-5
    )


def test_it_holds_neither_itself_nor_auto():
    for name in ("mixture", "auto"):
        options = {"mixture": {"members": [name]}}
        with pytest.raises(ParamsError, match=r"evaluate\.options\.mixture\.members.*expected others"):
            allocator_config("mixture", options, 5, 0)
