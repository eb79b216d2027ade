"""AMCo against its equations, worked out one sample at a time, in both readings."""

from math import exp, log, pi, sin

import pytest
import torch

from helpers.memory_store import build, engine, in_order, make_method

TWO = ("audio", "visual")
THREE = ("audio", "visual", "touch")
READINGS = ["features", "logits"]
LENGTH = {"features": 8, "logits": 3}


def _shares(logits, whole):
    """Per modality the mean over samples of its block in the softmax of all logits side by side."""
    names, totals = list(logits), dict.fromkeys(logits, 0.0)
    for i in range(whole):
        powers = {m: [exp(value) for value in logits[m][i].tolist()] for m in names}
        below = sum(sum(values) for values in powers.values())
        for m in names:
            totals[m] += sum(powers[m]) / below / whole
    return totals


def _cross_entropy(logits, labels):
    rows = [[exp(value) for value in row] for row in logits.double().tolist()]
    return -sum(log(row[y] / sum(row)) for row, y in zip(rows, labels.tolist(), strict=True)) / len(rows)


def _inner(model, features):
    """u_m by hand, for features of 8 each."""
    weight, bias = model.fusion.linear.weight, model.fusion.linear.bias / len(features)
    blocks = weight.split(8, dim=1)
    return {m: h @ block.T + bias for (m, h), block in zip(features.items(), blocks, strict=True)}


def _watched(tmp_path, reading, modalities=TWO, epochs=4, options=None, **settings):
    """Each step: epoch, features, masks, the verdict before and by the oracle, loss terms and what was measured."""
    given = {"reading": reading, **(options or {})}
    trained = engine(tmp_path, "amco", given, modalities, epochs=epochs, **settings)
    method, steps = trained.method, []
    survey, objective, start = method.survey, method.objective, method.epoch_start

    def spy_start(run):
        start(run)
        assert method.dependent is None

    def spy_survey(step):
        flags = None if method.dependent is None else method.dependent.tolist()
        survey(step)
        masks = {m: mask.clone() for m, mask in method.masks.items()}
        seen = {
            m: u * (masks[m] if reading == "logits" else 1)
            for m, u in _inner(trained.model, step.features).items()
        }
        shares = _shares(seen, len(step.labels))
        steps.append({"epoch": step.run.epoch, "flags": flags, "masks": masks, "shares": shares, "terms": []})
        steps[-1]["verdict"] = dict(zip(modalities, method.dependent.tolist(), strict=True))

    def spy_objective(step):
        terms = objective(step)
        steps[-1]["terms"].append(
            {
                "found": {name: float(value.detach()) for name, value in terms.items()},
                "plain": {m: h.detach() for m, h in method.plain.items()},
                "labels": step.labels,
                "model": {k: v.clone() for k, v in trained.model.fusion.state_dict().items()},
            }
        )
        return terms

    method.epoch_start, method.survey, method.objective = spy_start, spy_survey, spy_objective
    trained.fit()
    return steps


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("modalities", [TWO, THREE])
def test_who_is_dependent_is_judged_by_the_batch_and_masked_in_the_next(tmp_path, reading, modalities):
    steps = _watched(tmp_path, reading, modalities)
    before = (None, None)
    touched = 0
    for step in steps:
        assert sum(step["shares"].values()) == pytest.approx(1)
        for m, share in step["shares"].items():
            if abs(share - 1 / len(modalities)) > 1e-6:
                assert step["verdict"][m] == (share > 1 / len(modalities))
        epoch, flags = before
        expected = flags if epoch == step["epoch"] else None
        assert step["flags"] == expected
        for m, flag in zip(modalities, expected or [False] * len(modalities), strict=True):
            assert flag or step["masks"][m].min() == 1, "only what is dependent is masked"
            touched += bool(step["masks"][m].min() == 0)
        before = (step["epoch"], list(step["verdict"].values()))
    assert touched > 0


@pytest.mark.parametrize("reading", READINGS)
def test_as_many_zeros_as_the_schedule_says(tmp_path, reading):
    steps = _watched(tmp_path, reading, epochs=12)
    counts = set()
    for number, step in enumerate(steps):
        level = step["epoch"] / 12 if reading == "features" else (number % 3) * step["epoch"] / 10
        zeros = int(sin(pi / 2 * min(0.3, level) / 0.3) * LENGTH[reading])
        for flag, mask in zip(step["flags"] or [False, False], step["masks"].values(), strict=True):
            assert int((mask == 0).sum()) == (zeros if flag else 0)
            assert set(mask.tolist()) <= {0.0, 1.0}
            counts.add(int((mask == 0).sum()))
    assert {0, LENGTH[reading]} < counts, "nothing, all, and a part"


@pytest.mark.parametrize("reading", READINGS)
def test_the_schedule_is_monotone_from_none_to_all(tmp_path, reading):
    trained = engine(tmp_path, epochs=40)
    trained.fit()
    method, values = make_method("amco", {"reading": reading}), []
    for number in range(40):
        trained.run.epoch = number if reading == "features" else 1
        method.batch = number
        values.append(method.strength(trained.run))
    assert values == sorted(values)
    assert values[0] == 0
    assert values[-1] == 1
    first = next(i for i, value in enumerate(values) if value == 1)
    assert first == (12 if reading == "features" else 3)  # 0.3 of 40 epochs; 3 batches of 1 / 10


@pytest.mark.parametrize("reading", READINGS)
def test_the_loss_is_of_what_is_masked(tmp_path, reading):
    masked = 0
    for step in _watched(tmp_path, reading, epochs=12, options={"weight": 0.5}):
        ((part),) = step["terms"]
        blocks = part["model"]["linear.weight"].split(8, dim=1)
        bias = part["model"]["linear.bias"] / 2
        plain = part["plain"]
        seen = {m: h * step["masks"][m] for m, h in plain.items()} if reading == "features" else plain
        own = {m: h @ b.T + bias for (m, h), b in zip(plain.items(), blocks, strict=True)}
        fused = {m: h @ b.T + bias for (m, h), b in zip(seen.items(), blocks, strict=True)}
        if reading == "logits":
            own = fused = {m: u * step["masks"][m] for m, u in own.items()}
        logits = sum(fused.values()) @ part["model"]["map.weight"].T + part["model"]["map.bias"]
        expected = {m: 0.5 * _cross_entropy(u, part["labels"]) for m, u in own.items()}
        expected["task"] = _cross_entropy(logits, part["labels"])
        assert part["found"] == pytest.approx(expected, rel=1e-4, abs=1e-6)
        for m, mask in step["masks"].items():
            masked += bool((mask == 0).any())
            if reading == "logits" and not mask.any():
                assert part["found"][m] == pytest.approx(0.5 * log(3))
    assert masked > 3


def test_modalities_have_masks_of_their_own_and_logits_share_one(tmp_path):
    trained = engine(tmp_path, "amco", {"limit": 1.0}, epochs=1)
    trained.fit()
    method, run = trained.method, trained.run
    method.dependent = torch.tensor([True, True])
    wide = {m: torch.zeros(2, 64) for m in TWO}
    own = method._draw(run, 0.5, wide)
    assert [int(mask.sum()) for mask in own.values()] == [32, 32]
    assert not torch.equal(own["audio"], own["visual"])
    assert not torch.equal(own["audio"], method._draw(run, 0.5, wide)["audio"])
    method.config = make_method("amco", {"reading": "logits"}).config
    shared = method._draw(run, 0.5, wide)
    assert torch.equal(shared["audio"], shared["visual"])


@pytest.mark.parametrize("reading", READINGS)
def test_a_part_is_masked_alike_in_whatever_order_the_modalities_stand(tmp_path, reading):
    options = {"reading": reading, "limit": 1.0, "threshold": 0.2}
    settings = {"epochs": 3 if reading == "features" else 4, "learning_rate": 0.01}
    trained, drawn, start = [], [], None
    for order in (THREE, THREE[::-1]):
        model = build(make_method("amco", options), order, plain=True)
        if start is None:
            start = in_order(model, THREE[::-1])
            start = {name: value.clone() for name, value in start.items()}
        else:
            model.load_state_dict(start)
        one = engine(tmp_path / order[0], "amco", options, order, model=model, **settings)
        survey, masks = one.method.survey, []

        def spy(step, survey=survey, masks=masks, method=one.method):
            survey(step)
            masks.append({m: mask.tolist() for m, mask in method.masks.items()})

        one.method.survey = spy
        one.fit()
        trained.append(one.model)
        drawn.append(masks)
    assert drawn[0] == drawn[1]
    zeros = [mask.count(0.0) for masks in drawn[0] for mask in masks.values()]
    assert sum(0 < count < LENGTH[reading] for count in zeros) >= 3, "a part, and no more"
    for name in THREE:
        for a, b in zip(trained[0].own(name), trained[1].own(name), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_prediction_masks_nothing(tmp_path):
    trained = engine(tmp_path, "amco", epochs=2, selection="last")
    trained.fit()
    scored = trained.passes.score("val")
    trained.method.masks = {m: torch.zeros(8) for m in TWO}
    assert trained.passes.score("val") == scored


@pytest.mark.parametrize("reading", READINGS)
def test_encoders_run_once_a_step(tmp_path, reading):
    trained = engine(tmp_path, "amco", {"reading": reading})
    trained.select_split, calls = None, []
    trained.model.encoders["audio"].register_forward_hook(lambda *given: calls.append(1))
    trained.fit()
    assert len(calls) == trained.state.number == 3


@pytest.mark.parametrize("reading", READINGS)
def test_bf16_is_judged_in_single_precision(tmp_path, reading):
    trained = engine(tmp_path, "amco", {"reading": reading}, precision="bf16", epochs=3)
    trained.fit()
    assert all(mask.dtype == torch.float32 for mask in trained.method.masks.values())
    assert all(torch.isfinite(value).all() for value in trained.model.state_dict().values())
