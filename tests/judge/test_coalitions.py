"""Coalitions against the slow way, Shapley values against all orders of arrival."""

from itertools import permutations

import pytest
import torch

from ambidex.base.errors import ModelError
from ambidex.net.contributions.coalitions import absent_features, coalition_logits, shapley_contributions
from ambidex.net.contributions.shapley import coalitions, shapley
from helpers.evaluations import make_evaluation, make_model

NAMES = ("audio", "visual", "text")
FUSIONS = ("concat", "sum", "shared", "film", "gated")


def random_features(names=NAMES, count=7, dim=8, seed=1):
    draws = torch.Generator().manual_seed(seed)
    return {m: torch.randn(count, dim, generator=draws) for m in names}


def slow_logits(model, features, background, coalition):
    mixed = {m: h if m in coalition else background[m].expand_as(h) for m, h in features.items()}
    with torch.no_grad():
        return model.fusion(mixed)


@pytest.mark.parametrize("rule", ["zero", "mean", "permuted"])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_coalition_is_the_head_on_mixed_features(fusion, rule):
    model, features = make_model(NAMES, 4, fusion=fusion), random_features()
    background = absent_features({"train": random_features(seed=2)}, features, rule)
    found = coalition_logits(model, features, background)
    assert set(found) == set(coalitions(NAMES))
    for coalition, logits in found.items():
        torch.testing.assert_close(logits, slow_logits(model, features, background, coalition))


def test_shapley_is_the_average_over_all_orders_of_arrival():
    draws = torch.Generator().manual_seed(0)
    players = list("abcd")
    values = {s: torch.randn(3, generator=draws, dtype=torch.float64) for s in coalitions(players)}
    found = shapley(values, players)
    for m in players:
        gains = []
        for order in permutations(players):
            before = frozenset(order[: order.index(m)])
            gains.append(values[before | {m}] - values[before])
        torch.testing.assert_close(found[m], torch.stack(gains).mean(0))
    torch.testing.assert_close(sum(found.values()), values[frozenset(players)] - values[frozenset()])


def test_additive_heads_get_their_blocks_back_up_to_a_constant():
    model, features = make_model(NAMES, 4), random_features()
    background = absent_features({}, features, "zero")
    z = shapley_contributions(model, features, background)
    exact = model.fuse(features)[1]
    for m in NAMES:
        torch.testing.assert_close(z[m], exact[m], atol=1e-5, rtol=1e-5)


def test_contributions_do_not_depend_on_how_samples_are_cut(monkeypatch):
    model, features = make_model(NAMES, 4, fusion="film"), random_features(count=11)
    for rule in ("mean", "permuted"):
        background = absent_features({"train": features}, features, rule)
        whole = shapley_contributions(model, features, background)
        monkeypatch.setattr("ambidex.net.contributions.coalitions._VALUES", 100)
        cut = shapley_contributions(model, features, background)
        monkeypatch.undo()
        for m in NAMES:
            torch.testing.assert_close(cut[m], whole[m])


@pytest.mark.parametrize("fusion", ["concat", "film"])
def test_constant_features_contribute_nothing_under_mean_masking(fusion):
    model, features = make_model(NAMES, 4, fusion=fusion), random_features()
    features["visual"] = features["visual"][:1].expand(7, 8)
    background = absent_features({"train": features}, features, "mean")
    values = coalition_logits(model, features, background)
    assert shapley(values, NAMES)["visual"].abs().max() < 1e-5


def test_duplicates_share_equally():
    model, features = make_model(("audio", "copy", "text"), 4, fusion="sum"), random_features()
    features = {"audio": features["audio"], "copy": features["audio"], "text": features["text"]}
    state = model.fusion.state_dict()
    for key in [k for k in state if "audio" in k]:
        state[key.replace("audio", "copy")] = state[key]
    model.fusion.load_state_dict(state)
    phi = shapley(coalition_logits(model, features, absent_features({}, features, "zero")), tuple(features))
    torch.testing.assert_close(phi["audio"], phi["copy"])


def test_permuted_background_is_the_same_samples_in_another_fixed_order():
    features = random_features(count=50)
    first, second = (absent_features({}, features, "permuted") for _ in range(2))
    for m in NAMES:
        assert torch.equal(first[m], second[m])
        assert not torch.equal(first[m], features[m])
        assert torch.equal(first[m].sort(0).values, features[m].sort(0).values)


def test_what_cannot_be_done_is_said_in_one_line():
    features = random_features()
    with pytest.raises(ModelError, match=r"got 'noise', expected zero, mean or permuted"):
        absent_features({}, features, "noise")
    with pytest.raises(ModelError, match="needs the train split"):
        absent_features({}, features, "mean")


def test_shapley_contributions_are_what_a_non_additive_evaluation_holds():
    evaluation = make_evaluation({"audio": [1, 1, 0], "visual": [0, 1, 1]}, fusion="gated")
    torch.testing.assert_close(evaluation.test.stacked().sum(1), evaluation.test.logits, atol=1e-5, rtol=1e-5)
