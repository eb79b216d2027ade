"""ReconBoost against its equations, worked out sample by sample; the saved model, precision, cost."""

from math import log

import pytest
import torch
import torch.nn.functional as F

from ambidex.base.errors import ParamsError
from ambidex.net.model import load_model, save_model
from helpers.memory_store import MemoryStore, engine, make_method
from helpers.turns import (
    KINDS,
    STEPS,
    THREE,
    TURNS,
    TWO,
    scores_by_hand,
    softmax,
    trained_in_turns,
    whose_turn,
)


def _known(step, name):
    """q[i, y_i] of the boosted logits of all but `name`."""
    scores, rate = scores_by_hand(step), step["head"].rate.item()
    found = []
    for i, y in enumerate(step["labels"].tolist()):
        others = [
            rate * sum(scores[m][i, c].item() for m in scores if m != name)
            for c in range(scores[name].shape[1])
        ]
        found.append(softmax(others)[y])
    return found


def _loss(step, name, w1, w2):
    scores, terms = scores_by_hand(step)[name], []
    for i, (y, q) in enumerate(zip(step["labels"].tolist(), _known(step, name), strict=True)):
        terms.append(-(w1 - w2 * q) * log(softmax(scores[i].tolist())[y]) / scores.shape[1])
    return sum(terms) / len(terms)


def _apart(step, name, before):
    """MSE(softmax(s_m), softmax(s_p))."""
    scores = scores_by_hand(step)
    squares = [
        (a - b) ** 2
        for one, other in zip(scores[name].tolist(), scores[before].tolist(), strict=True)
        for a, b in zip(softmax(one), softmax(other), strict=True)
    ]
    return sum(squares) / len(squares)


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_of_a_turn_by_hand(tmp_path, kind):
    _, steps = trained_in_turns(tmp_path, kind | {"w1": 3.0, "w2": 2.5, "boost_rate": 1.7}, epochs=6)
    for step in steps:
        name = whose_turn(step["epoch"], TWO)
        if name is None:
            assert set(step["terms"]) == {"task"}
            fused = step["head"].rate.item() * sum(scores_by_hand(step).values())
            chances = [
                softmax(row)[y] for row, y in zip(fused.tolist(), step["labels"].tolist(), strict=True)
            ]
            expected = -sum(log(p) for p in chances) / len(chances)
            assert step["terms"]["task"] == pytest.approx(expected, rel=1e-4)
        else:
            assert set(step["terms"]) == {"boost"}
            assert step["terms"]["boost"] == pytest.approx(_loss(step, name, 3.0, 2.5), rel=1e-4)


def test_what_the_others_know_is_a_constant(tmp_path):
    """All the others', of three; the shared head's gradient is that of a loss whose weights are plain numbers."""
    _, steps = trained_in_turns(tmp_path, {"w1": 3.0, "w2": 3.0, "boost_rate": 2.0}, THREE, epochs=6)
    for step in steps:
        name = whose_turn(step["epoch"], THREE)
        if name is None:
            continue
        known = torch.tensor(_known(step, name))
        step["head"].requires_grad_()
        chances = scores_by_hand(step)[name].log_softmax(1)[range(len(known)), step["labels"]]
        loss = -((3.0 - 3.0 * known) * chances).mean() / 3
        parameters = {n: p for n, p in step["head"].named_parameters() if n.startswith("common")}
        expected = torch.autograd.grad(loss, list(parameters.values()))
        for n, gradient in zip(parameters, expected, strict=True):
            torch.testing.assert_close(step["gradients"][f"fusion.{n}"], gradient, rtol=1e-3, atol=1e-6)


def test_a_weight_that_could_turn_negative_is_refused():
    with pytest.raises(ParamsError, match=r"w2 \(6\) must not be greater than w1 \(5\)"):
        make_method("reconboost", {"w2": 6})


@pytest.mark.parametrize("w1", [5.0, 1.0])
def test_without_w2_it_is_a_scaled_cross_entropy(w1):
    method = make_method("reconboost", {"w1": w1, "w2": 0.0})
    scores, others, labels = torch.randn(7, 4), torch.randn(7, 4), torch.arange(7) % 4
    expected = w1 / 4 * F.cross_entropy(scores, labels)
    torch.testing.assert_close(method.boosting_loss(scores, others, labels), expected)


@pytest.mark.parametrize(("sign", "weight"), [(1, 4.0), (-1, 5.0)])
def test_what_the_others_know_for_certain_weighs_least(sign, weight):
    """q = 1: w1 - w2; q = 0: w1."""
    scores, labels = torch.randn(7, 4), torch.arange(7) % 4
    others = sign * 1e4 * F.one_hot(labels, 4).float()
    found = make_method("reconboost").boosting_loss(scores, others, labels)
    torch.testing.assert_close(found, weight / 4 * F.cross_entropy(scores, labels))


# the consolidation


@pytest.mark.parametrize("modalities", [TWO, THREE], ids=["M=2", "M=3"])
def test_released_consolidation_has_a_value_and_no_gradient(tmp_path, modalities):
    epochs = 2 * len(modalities) + 1
    _, without = trained_in_turns(tmp_path / "a", {"strength": 0.0}, modalities, epochs)
    _, steps = trained_in_turns(tmp_path / "b", {"strength": 4.0}, modalities, epochs)
    for step, plain in zip(steps, without, strict=True):
        assert step["terms"] == plain["terms"]
        for n, gradient in step["gradients"].items():
            other = plain["gradients"][n]
            assert (gradient is None and other is None) or torch.equal(gradient, other)
        assert all(torch.equal(value, plain["after"][n]) for n, value in step["after"].items())
        name = whose_turn(step["epoch"], modalities)
        assert "consolidation" not in plain["logged"]
        if name is None or step["epoch"] == 0:
            assert "consolidation" not in step["logged"]
        else:
            before = whose_turn(step["epoch"] - 2, modalities)
            expected = 4.0 * _apart(step, name, before)
            assert expected > 0
            assert step["logged"]["consolidation"] == pytest.approx(expected, rel=1e-3)


def test_the_papers_consolidation_pulls_the_newer_learner(tmp_path):
    options = {"consolidation": "paper", "strength": 4.0, "w1": 1e-6, "w2": 0.0}
    _, steps = trained_in_turns(tmp_path, options, THREE, epochs=5)
    seen = 0
    for step in steps:
        name = whose_turn(step["epoch"], THREE)
        if name is None or step["epoch"] == 0:
            assert "consolidation" not in step["terms"]
            continue
        before = whose_turn(step["epoch"] - 2, THREE)
        assert step["terms"]["consolidation"] == pytest.approx(4 * _apart(step, name, before), rel=1e-3)
        step["head"].requires_grad_()
        scores = scores_by_hand(step)
        kept = torch.tensor(scores[before].tolist())
        loss = 4 * (scores[name].softmax(1) - kept.softmax(1)).square().mean()
        parameters = {n: p for n, p in step["head"].named_parameters() if n.startswith("common")}
        expected = torch.autograd.grad(loss, list(parameters.values()))
        for n, gradient in zip(parameters, expected, strict=True):
            torch.testing.assert_close(step["gradients"][f"fusion.{n}"], gradient, rtol=1e-3, atol=1e-5)
        seen += 1
    assert seen == 2 * STEPS


# the model, precision, cost


def test_the_saved_model_predicts_with_the_learned_rate(tmp_path):
    trained, _ = trained_in_turns(tmp_path / "run", {"boost_rate": 0.5})
    save_model(trained.model, tmp_path / "model")
    loaded, store = load_model(tmp_path / "model"), MemoryStore(TWO)
    assert torch.equal(loaded.fusion.rate, trained.model.fusion.rate)
    inputs = {m: store.gather(m, store.rows("test")) for m in TWO}
    with torch.no_grad():
        features = loaded.encode(inputs)
        expected = scores_by_hand({"head": loaded.fusion, "features": features})
        torch.testing.assert_close(loaded(inputs), loaded.fusion.rate.item() * sum(expected.values()))
        parts = loaded.contributions(features)
    for m in TWO:
        torch.testing.assert_close(parts[m], loaded.fusion.rate.item() * expected[m])


def test_losses_are_of_single_precision_under_bf16(tmp_path):
    trained = engine(tmp_path, "reconboost", TURNS, epochs=3, precision="bf16")
    original, seen = trained.method.boosting_loss, []

    def spy(scores, others, labels, present):
        loss = original(scores, others, labels)
        seen.append((scores.dtype, others.dtype, loss.dtype))
        expected = original(scores.detach().double(), others.double(), labels)
        torch.testing.assert_close(loss.detach().double(), expected, rtol=1e-5, atol=1e-6)
        return loss

    trained.method.boosting_loss = spy
    trained.fit()
    assert set(seen) == {(torch.float32,) * 3}


@pytest.mark.parametrize("modalities", [TWO, THREE], ids=["M=2", "M=3"])
def test_passes_of_a_stage_are_those_of_the_card(tmp_path, modalities):
    trained = engine(tmp_path, "reconboost", TURNS, modalities, epochs=2)
    trained.select_split = None
    forward, backward, gradients = [], [], trained.method.gradients
    for m in modalities:
        trained.model.encoder(m).register_forward_hook(lambda *given: forward.append(1))

    def count(step):
        gradients(step)
        backward.extend(m for m in modalities if step.run.model.own(m)[0].grad is not None)

    trained.method.gradients = count
    trained.fit()
    whole = len(modalities) * trained.state.number
    assert (len(forward) / whole, len(backward) / whole) == pytest.approx(
        trained.method.card.cost.passes(len(modalities))
    )
