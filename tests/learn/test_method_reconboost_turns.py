"""ReconBoost: whose turn it is, who may move in it, and that each phase has an optimiser of its own."""

import pytest
import torch

from ambidex.base.errors import ModelError
from helpers.memory_store import engine
from helpers.turns import KINDS, STEPS, THREE, TWO, scores_by_hand, softmax, trained_in_turns, whose_turn


@pytest.mark.parametrize("modalities", [TWO, THREE, THREE[::-1]], ids=["M=2", "M=3", "M=3 reversed"])
def test_stages_are_cyclic_and_every_learner_is_always_there(tmp_path, modalities):
    names = sorted(modalities)
    options = {"epochs_per_stage": 2, "correct_epochs": 1}
    trained, steps = trained_in_turns(tmp_path, options, modalities, epochs=3 * len(names) + 2)
    for step in steps:
        stage, within = step["epoch"] // 3, step["epoch"] % 3
        assert step["phase"] == ("rectify" if within == 2 else "boost")
        told = {
            n.split(".")[1] for n, g in step["gradients"].items() if n[:8] == "encoders" and g is not None
        }
        assert told == (set(names) if within == 2 else {names[stage % len(names)]})
        assert set(step["head"].contributions(step["features"])) == set(names)
    assert trained.method.stage(3 * len(names) + 1) == (len(names), 1)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["b0", "b0", "b0", "b0", "r", "r", "r", "r", "b1", "b1"]),
        ({"epochs_per_stage": 1, "correct_epochs": 0}, ["b0", "b1"] * 5),
        (
            {"epochs_per_stage": 1, "correct_epochs": 2},
            ["b0", "r", "r", "b1", "r", "r", "b0", "r", "r", "b1"],
        ),
    ],
)
def test_a_stage_is_so_many_epochs_of_one_and_so_many_of_all(tmp_path, options, expected):
    trained = engine(tmp_path, "reconboost", options)
    trained.fit()
    run, found, began = trained.run, [], []
    for epoch in range(10):
        run.epoch = epoch
        (phase,) = trained.method.phases(run)
        stage = trained.method.stage(epoch)[0]
        found.append("r" if phase.name == "rectify" else f"b{TWO.index(trained.method.learner(stage))}")
        began.append(phase.fresh)
    assert found == expected
    changes = [i == 0 or found[i] != found[i - 1] for i in range(10)]
    assert began == changes


def test_turns_go_in_the_order_that_is_given(tmp_path):
    order = ["touch", "audio", "visual"]
    _, steps = trained_in_turns(tmp_path, {"order": order, "correct_epochs": 0}, THREE, epochs=3)
    for name, step in zip(order, steps[::STEPS], strict=True):
        told = {
            n.split(".")[1] for n, g in step["gradients"].items() if n[:8] == "encoders" and g is not None
        }
        assert told == {name}


@pytest.mark.parametrize("order", [["audio"], ["audio", "smell"], ["audio", "visual", "audio"], []])
def test_an_order_that_is_none_is_refused_in_one_line(tmp_path, order):
    with pytest.raises(
        ModelError, match=r"reconboost: order .* expected each of audio, visual once"
    ) as caught:
        engine(tmp_path, "reconboost", {"order": order}).fit()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("modalities", [TWO, THREE], ids=["M=2", "M=3"])
def test_a_turn_moves_its_modality_and_its_head_alone(tmp_path, modalities, kind):
    """With momentum and weight decay, which would move what has a gradient of zero; batch norm in two encoders."""
    _, steps = trained_in_turns(tmp_path, kind, modalities, epochs=2 * len(modalities), weight_decay=0.01)
    for step in steps:
        name = whose_turn(step["epoch"], modalities)
        moved = {n for n, value in step["after"].items() if not torch.equal(value, step["before"][n])}
        parameters = set(step["gradients"])
        if name is None:
            assert parameters <= moved
            assert all(g is not None for g in step["gradients"].values())
            continue
        own = {n for n in step["after"] if n.startswith(f"encoders.{name}.")}
        head = {n for n in parameters if n.startswith("fusion.") and n != "fusion.rate"}
        if kind.get("head") == "own":
            head = {n for n in head if n.startswith(f"fusion.heads.{name}.")}
        assert moved <= own | head
        assert (own | head) & parameters <= moved
        assert {n for n, g in step["gradients"].items() if g is not None} == (own | head) & parameters
        assert step["remembered"] == (own | head) & parameters  # the others have no momentum


def test_batch_norm_of_the_others_stands_still_in_a_turn(tmp_path):
    _, steps = trained_in_turns(tmp_path)
    for step in steps:
        name = whose_turn(step["epoch"], TWO)
        for m in TWO:
            still = [n for n in step["after"] if n.startswith(f"encoders.{m}.") and "running" in n]
            assert still
            same = all(torch.equal(step["after"][n], step["before"][n]) for n in still)
            assert same == (name not in (None, m))
            assert step["training"][m] != same


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_each_phase_has_an_optimiser_of_its_own(tmp_path, kind):
    """Phases of two epochs while the rate halves after three: torch's own optimisers, made anew by hand."""
    options = {"epochs_per_stage": 2, "correct_epochs": 2}
    settings = {"optimizer": kind, "schedule": "step", "step_epochs": 3, "step_factor": 0.5}
    trained, steps = trained_in_turns(tmp_path, options, epochs=8, weight_decay=0.01, **settings)
    weights = {n: steps[0]["before"][n].clone().requires_grad_() for n, _ in trained.model.named_parameters()}
    began = None
    for step in steps:
        rate = 0.05 * 0.5 ** (step["epoch"] // 3)
        assert step["rate"] == pytest.approx(rate)
        if step["epoch"] // 2 != began:
            began = step["epoch"] // 2
            if kind == "sgd":
                own = torch.optim.SGD(weights.values(), rate, momentum=0.9, weight_decay=0.01)
            else:
                own = torch.optim.Adam(weights.values(), rate, weight_decay=0.01)
        own.param_groups[0]["lr"] = rate
        for n, weight in weights.items():
            weight.grad = None if step["gradients"][n] is None else step["gradients"][n].clone()
        own.step()
        assert all(torch.equal(weight, step["after"][n]) for n, weight in weights.items())
    assert began == 3


def test_the_rate_is_learned_in_rectification_alone(tmp_path):
    trained, steps = trained_in_turns(tmp_path, {"boost_rate": 0.8})
    for step in steps:
        if whose_turn(step["epoch"], TWO) is not None:
            assert step["gradients"]["fusion.rate"] is None
            assert torch.equal(step["before"]["fusion.rate"], step["after"]["fusion.rate"])
            continue
        total = sum(scores_by_hand(step).values())
        rate, gradient = step["head"].rate.item(), 0.0
        for i, y in enumerate(step["labels"].tolist()):
            chances = softmax([rate * value for value in total[i].tolist()])
            errors = [p - (c == y) for c, p in enumerate(chances)]
            gradient += sum(e * s for e, s in zip(errors, total[i].tolist(), strict=True)) / len(total)
        assert float(step["gradients"]["fusion.rate"]) == pytest.approx(gradient, rel=1e-3, abs=1e-6)
    assert float(steps[0]["before"]["fusion.rate"]) == pytest.approx(0.8)
    assert abs(trained.model.fusion.rate.item() - 0.8) > 1e-4


def test_with_frozen_encoders_turns_train_the_head(tmp_path):
    trained, steps = trained_in_turns(tmp_path, frozen=True)
    assert {n.split(".")[0] for step in steps for n, g in step["gradients"].items() if g is not None} == {
        "fusion"
    }
    for n, value in steps[0]["before"].items():
        assert torch.equal(value, trained.model.state_dict()[n]) != n.startswith("fusion")
