"""OPM against numbers worked out one modality and one sample at a time, and what must not move while it looks ahead."""

from dataclasses import replace
from itertools import pairwise
from math import tanh

import pytest
import torch
import torch.nn.functional as F

from ambidex.configuration.values import Choice
from ambidex.net.model import MultimodalNet
from helpers.memory_store import architecture, engine, make_method

TWO = ("audio", "visual")
THREE = ("audio", "visual", "touch")
ALWAYS = {"warm_up": 0, "execute": 1.0}


def _rates(scores, base, slope):
    """q_m by the paper's equations."""
    found = []
    for m, own in enumerate(scores):
        others = [own / other for j, other in enumerate(scores) if j != m]
        lead = sum(others) / len(others) - 1
        found.append(min(1.0, base * (1 + slope * tanh(lead))) if lead > 0 else 0.0)
    return found


@pytest.mark.parametrize("scores", [(5.0, 2.0), (2.0, 5.0), (4.0, 3.9), (5.0, 2.0, 3.0), (1.0, 6.0, 5.5)])
@pytest.mark.parametrize(("base", "slope"), [(0.5, 0.5), (0.4, 0.5), (0.9, 3.0), (0.5, 0.0)])
def test_the_probabilities_follow_the_paper(scores, base, slope):
    found = make_method("opm", {"base": base, "slope": slope}).rates(torch.tensor(scores))
    assert found.tolist() == pytest.approx(_rates(scores, base, slope), abs=1e-6)


@pytest.mark.parametrize("count", [2, 3, 6])
def test_the_weakest_is_never_dropped_and_every_rate_is_a_probability(count):
    draws = torch.Generator().manual_seed(0)
    method = make_method("opm", {"base": 1.0, "slope": 9.0})
    for _ in range(300):
        scores = torch.rand(count, generator=draws) * 10
        rates = method.rates(scores)
        assert rates[scores.argmin()] == 0
        assert rates.min() >= 0
        assert rates.max() <= 1
    assert method.rates(torch.full((count,), 7.3)).tolist() == [0.0] * count


def _watched(tmp_path, options=ALWAYS, modalities=TWO, **settings):
    """One epoch; per step: scores' q by the oracle, and per micro-batch features before, after, and gradients."""
    trained = engine(tmp_path, "opm", options, modalities, **settings)
    steps, method = [], trained.method
    survey, features = method.survey, method.features

    def spy_survey(step):
        scores = [
            sum(float(z.softmax(1)[i, y]) for i, y in enumerate(step.labels.tolist()))
            for z in step.contributions.values()
        ]
        steps.append({"q": _rates(scores, method.config.base, method.config.slope), "parts": []})
        steps[-1]["place"] = step.place
        survey(step)

    def spy_features(step, given):
        for h in given.values():
            h.retain_grad()
        after = features(step, given)
        steps[-1]["parts"].append((given, after, step.place))
        return after

    method.survey, method.features = spy_survey, spy_features
    trained.fit()
    return steps


@pytest.mark.parametrize("modalities", [TWO, THREE])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_sample_loses_a_whole_feature_or_all_are_rescaled_alike(tmp_path, modalities, accumulate):
    seen = {0: 0, 1: 0}
    for step in _watched(tmp_path, modalities=modalities, accumulate=accumulate):
        q = dict(zip(modalities, step["q"], strict=True))
        kept = 1 / (1 - sum(q.values()) / len(q))  # all features are 8 long
        assert len(step["parts"]) == accumulate
        for before, after, _ in step["parts"]:
            for name in modalities:
                for h, changed, gradient in zip(before[name], after[name], before[name].grad, strict=True):
                    dropped = bool((changed == 0).all()) and bool((h != 0).any())
                    torch.testing.assert_close(changed, h * (0 if dropped else kept))
                    assert not (dropped and q[name] == 0), "the weaker modality is only rescaled"
                    assert not dropped or not gradient.any()
                    if q[name] > 0:
                        seen[dropped] += 1
    assert min(seen.values()) > 0


def test_theta_weighs_modalities_by_the_length_of_their_features(tmp_path):
    plan = architecture(TWO)
    encoders = plan.encoders | {"visual": Choice(name="small_cnn", width=4, dim=24)}
    trained = engine(tmp_path, "opm", ALWAYS, model=MultimodalNet(replace(plan, encoders=encoders)))
    trained.method.rates = lambda scores, present: torch.tensor([0.0, 0.6])
    found, original = set(), trained.method.survey

    def spy(step):
        original(step)
        found.update(round(value, 4) for value in trained.method.factors["audio"].tolist())

    trained.method.survey = spy
    trained.fit()
    assert found == {round(1 / (1 - 24 * 0.6 / 32), 4)}


def test_masks_are_drawn_with_their_probability(tmp_path):
    trained = engine(tmp_path, "opm", ALWAYS, batch_size=24, epochs=1)
    method, counts = trained.method, []
    method.rates = lambda scores, present: torch.tensor([0.3, 0.0])
    original = method.survey

    def spy(step):
        for _ in range(200):
            original(step)
            counts.append((method.factors["audio"] == 0).float().mean().item())
            assert (method.factors["visual"] > 0).all()

    method.survey = spy
    trained.fit()
    mean = sum(counts) / len(counts)  # of 4800 draws: standard error 0.0066
    assert mean == pytest.approx(0.3, abs=0.027)
    assert len(set(counts)) > 5


def test_the_coin_is_tossed_per_batch(tmp_path):
    trained = engine(tmp_path, "opm", {"warm_up": 0, "execute": 0.7}, batch_size=24)
    method, modulated = trained.method, []
    original = method.survey

    def spy(step):
        for _ in range(400):
            original(step)
            factors = torch.stack(list(method.factors.values()))
            modulated.append(not bool((factors == 1).all()))

    method.survey = spy
    trained.fit()
    assert sum(modulated) / len(modulated) == pytest.approx(0.7, abs=0.07)  # standard error 0.023


@pytest.mark.parametrize(("epoch", "active"), [(0, False), (5, False), (6, True), (7, True)])
def test_six_epochs_are_plain(tmp_path, epoch, active):
    method = make_method("opm")
    trained = engine(tmp_path, epochs=1)
    trained.fit()
    trained.run.epoch = epoch
    assert method.surveys(trained.run) == active


def test_prediction_is_modulated_by_nothing(tmp_path):
    trained = engine(tmp_path, "opm", ALWAYS, selection="last")
    trained.fit()
    scored = trained.passes.score("val")
    store = trained.batches.store
    rows = store.rows("val")
    with torch.no_grad():
        logits = trained.model.eval()({m: store.gather(m, rows) for m in TWO})
    assert scored["nll"] == pytest.approx(float(F.cross_entropy(logits, store.labels[rows])), rel=1e-5)
    assert scored["accuracy/fused"] == float((logits.argmax(1) == store.labels[rows]).double().mean())


@pytest.mark.parametrize("modalities", [TWO, THREE])
def test_looking_ahead_leaves_no_trace(tmp_path, modalities):
    """Batch norm, dropout and micro-batches: the encoders run twice, the random state and statistics as if once."""
    found = []
    for name, options in (("joint", {}), ("opm", {"warm_up": 0, "base": 0.0})):
        trained = engine(tmp_path / name, name, options, modalities, accumulate=2, epochs=2)
        trained.fit()
        found.append(trained.model.state_dict() | {"random": torch.get_rng_state()})
    assert any("running_mean" in key for key in found[0])
    assert all(torch.equal(found[0][key], found[1][key]) for key in found[0])


def _calls(tmp_path, options, accumulate):
    """Forward passes of one encoder in one epoch of three batches, without validation."""
    trained = engine(tmp_path, "opm", options, accumulate=accumulate)
    trained.select_split = None
    calls = []
    trained.model.encoders["audio"].register_forward_hook(
        lambda *given: calls.append(torch.is_grad_enabled())
    )
    trained.fit()
    return calls


@pytest.mark.parametrize(
    ("options", "accumulate", "with_gradient", "without"),
    [({}, 1, 3, 0), ({}, 2, 6, 0), (ALWAYS, 1, 3, 0), (ALWAYS, 2, 6, 6)],
)
def test_encoders_run_twice_only_where_micro_batches_accumulate(
    tmp_path, options, accumulate, with_gradient, without
):
    calls = _calls(tmp_path, options, accumulate)
    assert (sum(calls), len(calls) - sum(calls)) == (with_gradient, without)


def test_places_are_those_of_the_whole_step(tmp_path):
    for step in _watched(tmp_path, batch_size=7, accumulate=3):
        places = [place for _, _, place in step["parts"]]
        assert places[0].start == 0
        assert all(a.stop == b.start for a, b in pairwise(places))
        assert step["place"] == slice(0, places[-1].stop)
        assert all(len(before["audio"]) == p.stop - p.start for before, _, p in step["parts"])


def test_bf16_rates_are_those_of_single_precision(tmp_path):
    """Scores and factors are float32 under autocast; the oracle reads the same bf16 contributions."""
    trained = engine(tmp_path, "opm", ALWAYS, precision="bf16")
    found, original = [], trained.method.survey

    def spy(step):
        original(step)
        assert step.contributions["audio"].dtype == torch.bfloat16
        scores = [
            sum(float(z.double().softmax(1)[i, y]) for i, y in enumerate(step.labels.tolist()))
            for z in step.contributions.values()
        ]
        factors = torch.cat(list(trained.method.factors.values()))
        assert factors.dtype == torch.float32
        found.append((float(factors.max()), 1 / (1 - max(_rates(scores, 0.5, 0.5)) / 2)))

    trained.method.survey = spy
    trained.fit()
    assert len(found) == 3
    assert all(factor == pytest.approx(expected, rel=1e-5) for factor, expected in found)
