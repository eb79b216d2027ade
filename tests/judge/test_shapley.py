"""Shapley values of many modalities: sampled orders against all of them, and what must hold however they are drawn."""

import dataclasses
import json
from itertools import permutations

import numpy as np
import pytest
import torch

from ambidex.configuration.params import Evaluate
from ambidex.decide.fitting import fit_allocators
from ambidex.decide.layer import DecisionLayer, DecisionSpec
from ambidex.decide.repairing import repaired_model
from ambidex.judge.diagnose import DIAGNOSTICS
from ambidex.judge.evaluation import collect
from ambidex.net.contributions.coalitions import (
    MaskedHead,
    absent_features,
    coalition_logits,
    contribution_shares,
    shapley_contributions,
)
from ambidex.net.contributions.shapley import Plan, coalitions, shapley
from ambidex.net.fusion import Fusion
from helpers.evaluations import make_evaluation, make_model

FUSIONS = ("concat", "sum", "shared", "film", "gated")
DIM, CLASSES = 4, 3


class Tangled(Fusion):
    """A head in which every modality meets every other: no pair of orders is exact for it."""

    additive = False

    def __init__(self, dims, classes):
        super().__init__(None, dims, classes)
        draws = torch.Generator().manual_seed(5)
        self.weights = {m: torch.randn(6, d, generator=draws) for m, d in sorted(dims.items())}
        self.out = torch.randn(classes, 6, generator=draws)

    def forward(self, features):
        hidden = sum(h @ self.weights[m].T for m, h in sorted(features.items()))
        return (torch.tanh(hidden) + hidden.square() / 4) @ self.out.T


def names(count):
    return tuple(f"m{i:02d}" for i in range(count))


def make_head(count, fusion, samples=9):
    """A random head of `count` modalities on random features; absent ones are the mean of others."""
    model = make_model(names(count), CLASSES, dim=DIM, fusion="concat" if fusion == "tangled" else fusion)
    if fusion == "tangled":
        model.fusion = Tangled(model.fusion.dims, CLASSES)
    draws = torch.Generator().manual_seed(count)
    features = {m: torch.randn(samples, DIM, generator=draws) for m in names(count)}
    train = {m: torch.randn(30, DIM, generator=draws) for m in names(count)}
    return model, features, absent_features({"train": train}, features, "mean")


def average_over_all_orders(game, players):
    gains = {m: [] for m in players}
    for order in permutations(players):
        for i, m in enumerate(order):
            gains[m].append(game(frozenset(order[: i + 1])) - game(frozenset(order[:i])))
    return {m: torch.stack(g).double().mean(0) for m, g in gains.items()}


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("fusion", ["film", "gated", "tangled"])
def test_contributions_are_the_average_over_all_orders_of_arrival(fusion, count):
    model, features, background = make_head(count, fusion)

    def slowly(coalition):
        mixed = {m: h if m in coalition else background[m].expand_as(h) for m, h in features.items()}
        with torch.no_grad():
            return model.fusion(mixed)

    expected = average_over_all_orders(slowly, names(count))
    found = contribution_shares(model, features, background)
    assert found.error == {}
    nothing = slowly(frozenset()) / count
    for m in names(count):
        torch.testing.assert_close(found.phi[m], expected[m].float() + nothing, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("fusion", "count"),
    [
        (fusion, count)
        for fusion in (*FUSIONS, "tangled")
        for count in (1, 2, 6, 8)
        if count > 1 or fusion not in ("film", "gated")  # one modality cannot condition itself
    ],
)
def test_contributions_add_up_to_the_logits(fusion, count):
    model, features, background = make_head(count, fusion)
    found = shapley_contributions(model, features, background, permutations=8)
    torch.testing.assert_close(sum(found.values()), model.fuse(features)[0], atol=1e-5, rtol=1e-5)


@pytest.fixture(scope="module")
def seven():
    """A tangled head of seven modalities: its coalitions and exact Shapley values."""
    model, features, background = make_head(7, "tangled", samples=20)
    values = coalition_logits(model, features, background)
    exact = {m: phi + values[frozenset()].double() / 7 for m, phi in shapley(values, tuple(features)).items()}
    return model, features, background, exact


def test_sampled_contributions_lie_within_their_stated_error(seven):
    """z-scores over 140 values and 40 draws of the orders: deviation near 1, and hardly any beyond 4."""
    model, features, background, exact = seven
    scores = []
    for seed in range(40):
        found = contribution_shares(model, features, background, permutations=64, seed=seed)
        scores += [(found.phi[m] - exact[m]) / found.error[m] for m in features]
    scores = torch.stack(scores)
    assert scores.std().item() == pytest.approx(1, abs=0.2)
    assert scores.mean().abs() < 0.1
    assert (scores.abs() > 4).double().mean() < 0.003
    one = contribution_shares(model, features, background, permutations=64, seed=0)
    for m in features:
        assert (one.phi[m] - exact[m]).abs().mean() < 4 * one.error[m].mean()


def test_the_error_falls_as_the_root_of_the_number_of_orders(seven):
    model, features, background, exact = seven
    off, stated = [], []
    for count in (16, 256):
        drawn = [contribution_shares(model, features, background, count, seed) for seed in range(10)]
        off.append(np.mean([(d.phi[m] - exact[m]).square().mean() for d in drawn for m in features]) ** 0.5)
        stated.append(np.mean([d.error[m].square().mean() for d in drawn for m in features]) ** 0.5)
    assert off[0] / off[1] == pytest.approx(4, rel=0.25)
    assert stated[0] / stated[1] == pytest.approx(4, rel=0.25)


@pytest.mark.parametrize("fusion", ["film", "gated"])
def test_heads_without_three_way_interactions_are_exact_above_six_modalities_too(fusion):
    model, features, background = make_head(8, fusion)
    values = coalition_logits(model, features, background)
    exact = shapley(values, tuple(features))
    found = contribution_shares(model, features, background, permutations=4)
    for m in features:
        expected = exact[m].float() + values[frozenset()] / 8
        torch.testing.assert_close(found.phi[m], expected, atol=1e-5, rtol=1e-5)
        assert found.error[m].max() < 1e-5


def test_orders_are_pairs_and_belong_to_names_not_places():
    plan = Plan.of(names(9), 7, seed=3)
    assert len(plan.orders) == 8
    assert all(a == b[::-1] for a, b in zip(plan.orders[::2], plan.orders[1::2], strict=True))
    assert Plan.of(names(9)[::-1], 7, seed=3).orders == plan.orders
    assert Plan.of(names(9), 7, seed=4).orders != plan.orders
    assert len(Plan.of(names(9), 2, seed=3).orders) == 4, "one pair has no spread"
    assert len(set(plan.coalitions)) == len(plan.coalitions)
    six = Plan.of(names(6), 7, seed=3)
    assert six.orders == ()
    assert len(six.coalitions) == 64


@pytest.mark.parametrize(("count", "fusion"), [(3, "tangled"), (4, "concat"), (8, "tangled")])
def test_permuting_modalities_permutes_contributions(count, fusion):
    model, features, background = make_head(count, fusion)
    backwards = dict(reversed(features.items()))
    found = contribution_shares(model, features, background, permutations=6)
    turned = contribution_shares(model, backwards, background, permutations=6)
    assert list(turned.phi) == list(backwards)
    for m in features:
        torch.testing.assert_close(turned.phi[m], found.phi[m], atol=1e-6, rtol=1e-6)
        if count > 6:
            torch.testing.assert_close(turned.error[m], found.error[m], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("count", [3, 8])
@pytest.mark.parametrize("fusion", ["film", "gated", "tangled"])
def test_constant_features_contribute_their_share_of_nothing(fusion, count):
    model, features, _ = make_head(count, fusion)
    for silent in (names(count)[0], names(count)[-1]):  # the one that conditions, and another
        mute = {**features, silent: features[silent][:1].expand(9, DIM)}
        background = absent_features({"train": mute}, mute, "mean")
        nothing = MaskedHead(model, mute, background)(frozenset())
        found = shapley_contributions(model, mute, background, permutations=6)
        torch.testing.assert_close(found[silent], nothing / count, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("count", [7, 20])
def test_samples_are_cut_without_changing_anything(count, monkeypatch):
    model, features, background = make_head(count, "tangled", samples=5)
    whole = contribution_shares(model, features, background, permutations=6)
    monkeypatch.setattr("ambidex.net.contributions.coalitions._VALUES", 1)
    cut = contribution_shares(model, features, background, permutations=6)
    for m in features:
        torch.testing.assert_close(cut.phi[m], whole.phi[m])
        torch.testing.assert_close(cut.error[m], whole.error[m], atol=1e-5, rtol=1e-4)


# Where contributions are kept


class Vectors:
    """As much of a feature store as `collect` looks at."""

    def __init__(self, features):
        self.features = features
        count = len(next(iter(features.values())))
        self.labels = torch.arange(count) % CLASSES
        self.sample_ids = self.groups = [f"s{i}" for i in range(count)]

    def rows(self, split):
        return torch.arange(len(self.labels)) if split == "train" else torch.arange(4)

    def gather(self, modality, rows):
        return self.features[modality][rows]

    def presence(self, rows):
        return {}


def test_an_evaluation_keeps_the_error_and_a_saved_model_the_orders():
    """The same orders make the contributions of an evaluation, of a saved model, and of one sample at a time."""
    model, features, _ = make_head(7, "tangled")
    given = {"permutations": 10, "seed": 3}
    seen = collect(model, Vectors(features), ["train", "test"], 3, torch.device("cpu"), "mean", **given)
    test = seen["test"]
    assert list(test.contribution_error) == list(names(7))
    background = absent_features({"train": seen["train"].features}, test.features, "mean")
    expected = contribution_shares(model, test.features, background, **given)
    for m in names(7):
        torch.testing.assert_close(test.contribution_error[m], expected.error[m])
        torch.testing.assert_close(test.contributions[m], expected.phi[m])

    spec = DecisionSpec("uniform", {}, "contributions", "mean", **given)
    assert DecisionSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
    before = {k: v for k, v in spec.to_json().items() if k not in given}  # written when there were no orders
    assert (DecisionSpec.from_json(before).permutations, DecisionSpec.from_json(before).seed) == (64, 0)
    layer = DecisionLayer(spec, dict.fromkeys(names(7), DIM), CLASSES)
    for m, buffer in layer.background().items():
        buffer.copy_(background[m])
    for i in range(4):
        one = layer.inputs(model, {m: h[i : i + 1] for m, h in test.features.items()})
        torch.testing.assert_close(one[0], test.stacked()[i])


def test_a_repaired_model_is_told_the_orders():
    evaluation = many(3, fusion="film", permutations=10, seed=3)
    (plain,) = fit_allocators(evaluation, ["uniform"])
    spec = repaired_model(evaluation, plain).layer.spec
    assert (spec.absent, spec.permutations, spec.seed) == ("mean", 10, 3)


# The game of the accuracy


def many(count, fusion="concat", **given):
    params = Evaluate(resamples=100, **given)
    sizes = {"train": 60, "val": 30, "test": 150}
    informative = {m: [1, i % 2, 0.3] for i, m in enumerate(names(count))}
    return make_evaluation(informative, fusion, noise=4.0, dim=3, sizes=sizes, params=params)


def run(evaluation, name="shapley"):
    return DIAGNOSTICS.get(name)().run(evaluation)


def exact_phi(evaluation):
    features, labels = evaluation.test.features, evaluation.test.labels
    background = absent_features({"train": evaluation.train.features}, features, "mean")
    logits = coalition_logits(evaluation.model, features, background)
    right = {s: (z.argmax(1) == labels).double().mean() for s, z in logits.items()}
    return shapley(right, evaluation.modalities)


def test_phi_of_seven_modalities_lies_within_its_stated_error():
    evaluation = many(7)
    exact = exact_phi(evaluation)
    scores, errors = [], {32: [], 512: []}
    for seed in range(12):
        for count in errors:
            params = evaluation.params.model_copy(update={"permutations": count, "seed": seed})
            found = run(dataclasses.replace(evaluation, params=params)).metrics["phi"]
            errors[count] += [found[m]["phi_error"] for m in exact]
            scores += [(found[m]["phi"] - exact[m].item()) / found[m]["phi_error"] for m in exact]
    assert np.abs(scores).max() < 4
    assert np.std(scores) == pytest.approx(1, abs=0.25)
    assert np.mean(errors[32]) / np.mean(errors[512]) == pytest.approx(4, rel=0.2)


@pytest.mark.parametrize("count", [2, 6, 8, 20])
def test_phi_adds_up(count):
    found = run(many(count, permutations=6)).metrics
    accuracy = found["coalitions"]
    total = sum(numbers["phi"] for numbers in found["phi"].values())
    assert total == pytest.approx(accuracy["+".join(names(count))] - accuracy["none"], abs=1e-9)
    assert len(accuracy) == (2**count if count <= 6 else 2 * count + 2)
    assert found["orders"] == (0 if count <= 6 else 6)


def test_the_interval_of_phi_is_that_of_resampled_accuracies():
    evaluation = many(3)
    features, labels = evaluation.test.features, evaluation.test.labels
    background = absent_features({"train": evaluation.train.features}, features, "mean")
    logits = coalition_logits(evaluation.model, features, background)
    right = {s: (z.argmax(1) == labels).double() for s, z in logits.items()}
    draws = torch.Generator().manual_seed(evaluation.params.seed)
    rows = torch.randint(len(labels), (100, len(labels)), generator=draws, dtype=torch.int32).long()
    resampled = shapley({s: r[rows].mean(1) for s, r in right.items()}, evaluation.modalities)
    found = run(evaluation).metrics["phi"]
    for m, values in resampled.items():
        low, high = np.quantile(values.numpy(), [0.025, 0.975])
        assert (found[m]["phi_low"], found[m]["phi_high"]) == pytest.approx((low, high), abs=1e-9)


def test_permuting_modalities_permutes_phi():
    for count in (3, 8):
        evaluation = many(count, permutations=6)
        turned = dataclasses.replace(evaluation, modalities=evaluation.modalities[::-1])
        found, again = run(evaluation).metrics["phi"], run(turned).metrics["phi"]
        assert list(again) == list(evaluation.modalities[::-1])
        for m in found:
            assert again[m] == pytest.approx(found[m], abs=1e-9)


def test_duplicates_have_equal_phi():
    evaluation = make_evaluation({"audio": [1, 0.2, 0.3], "copy": [1, 0.2, 0.3], "text": [0, 1, 1]}, noise=3)
    blocks = evaluation.model.fusion.blocks()
    with torch.no_grad():
        blocks["copy"].copy_(blocks["audio"])
    splits = {}
    for name, split in evaluation.splits.items():
        features = {**split.features, "copy": split.features["audio"]}
        with torch.no_grad():
            logits, contributions = evaluation.model.fuse(features)
        splits[name] = dataclasses.replace(
            split, features=features, logits=logits, contributions=contributions, branches=contributions
        )
    found = run(dataclasses.replace(evaluation, splits=splits)).metrics["phi"]
    assert found["audio"]["phi"] != 0
    assert found["audio"] == pytest.approx(found["copy"], abs=1e-9)


def test_constant_features_have_no_phi_when_sampled():
    evaluation = many(8, permutations=6)
    for split in evaluation.splits.values():
        split.features["m03"][:] = 0.5
    found = run(evaluation).metrics["phi"]
    assert found["m03"] == {"phi": 0.0, "phi_low": 0.0, "phi_high": 0.0, "phi_error": 0.0}


# What is said about it


@pytest.mark.parametrize("rule", ["zero", "mean", "permuted"])
def test_the_rule_for_absent_features_is_named_with_all_that_depends_on_it(rule):
    evaluation = make_evaluation(
        {"audio": [1, 1, 0], "visual": [0, 1, 1]}, fusion="film", params=Evaluate(resamples=100, absent=rule)
    )
    shares, trust, said = (run(evaluation, name) for name in ("shapley", "calibration", "logits"))
    assert shares.metrics["absent"] == rule
    assert shares.metrics["contributions"] == {"kind": "shapley", "absent": rule, "orders": 0, "error": {}}
    assert {row["absent"] for row in trust.tables["vrr"]} == {rule}
    assert {numbers["absent"] for numbers in trust.metrics["vrr"].values()} == {rule}
    for found in (shares, trust, said):
        assert any(f"rule '{rule}'" in sentence for sentence in found.sentences)


def test_additive_contributions_need_no_rule():
    evaluation = make_evaluation({"audio": [1, 1, 0], "visual": [0, 1, 1]}, params=Evaluate(resamples=100))
    assert run(evaluation).metrics["contributions"] == {"kind": "blocks"}
    assert not any("rule" in sentence for sentence in run(evaluation, "logits").sentences)


def test_the_sampling_error_is_stated():
    evaluation = many(7, permutations=10)
    model, background = evaluation.model, {m: h[:1] for m, h in evaluation.train.features.items()}
    model.fusion = Tangled(model.fusion.dims, 3)
    shares = contribution_shares(model, evaluation.test.features, background, 10)
    test = dataclasses.replace(
        evaluation.test, contributions=shares.phi, branches=shares.phi, contribution_error=shares.error
    )
    evaluation = dataclasses.replace(evaluation, splits={**evaluation.splits, "test": test})
    found = run(evaluation)
    stated = found.metrics["contributions"]
    assert (stated["kind"], stated["orders"]) == ("shapley", 10)
    for m, error in shares.error.items():
        assert stated["error"][m] == {"mean": error.mean().item(), "largest": error.max().item()}
        assert 0 < stated["error"][m]["mean"] < stated["error"][m]["largest"]
    accuracy, logits = found.sentences
    assert "10 random orders" in accuracy
    assert "10 random orders" in logits
    first = found.tables["shapley"][0]
    assert f"standard error of the orders {100 * first['phi_error']:.2f}" in accuracy
    assert f"m00 {stated['error']['m00']['mean']:.2g} on average" in logits


def test_two_players_by_hand():
    values = {
        s: torch.tensor(v) for s, v in zip(coalitions("ab"), (0.0, 3.0, 1.0, 10.0), strict=True)
    }  # phi_a = (3 + 9) / 2
    assert {m: v.item() for m, v in shapley(values, "ab").items()} == {"a": 6.0, "b": 4.0}
