"""Samples that lack a modality: what stands there never counts, and contributions are of those that are there."""

from dataclasses import replace
from itertools import permutations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ambidex.base.errors import ModelError
from ambidex.configuration.values import Choice
from ambidex.judge.probes import fit_own_probe, fit_probe
from ambidex.learn.method import METHODS, known_needs
from ambidex.net.contributions.coalitions import absent_features, contribution_shares
from ambidex.net.encoded import Encoded, EncodedFeatures, features_of, joined, presence, scaled
from ambidex.net.fill import Fill
from ambidex.net.model import MultimodalNet, load_model, save_model
from ambidex.predict.prediction import Predictor
from ambidex.testing import ground, ranks
from helpers.missing import GONE, THREE, encode, net, step_of, store_of


@pytest.mark.parametrize("fusion", ["concat", "sum", "gated", "attention"])
@pytest.mark.parametrize("fill", ["zero", "mean", "learned"])
def test_what_stands_in_place_of_an_absent_modality_changes_no_bit_of_training(fusion: str, fill: str):
    def trained(garbage: float | None) -> dict[str, Tensor]:
        model, store = net(fusion, fill).train(), store_of(garbage=garbage)
        optimiser = torch.optim.SGD(model.parameters(), 0.1)
        for step in range(3):
            rows = torch.arange(step * 6, step * 6 + 6)
            F.cross_entropy(model.fuse(encode(model, store, rows))[0], store.labels[rows]).backward()
            optimiser.step()
            optimiser.zero_grad()
        logits = model.eval().fuse(encode(model, store, torch.arange(12)))[0]
        return {**model.state_dict(), "logits": logits.detach()}

    plain, spoilt = trained(None), trained(torch.nan)
    assert all(torch.equal(plain[name], spoilt[name]) for name in plain)
    assert all(value.isfinite().all() for value in plain.values())


@torch.no_grad()
def test_additive_logits_are_the_sum_over_the_modalities_that_are_there():
    model, store, rows = net().eval(), store_of(), torch.arange(24)
    model.fusion.get_parameter("linear.bias").add_(
        torch.tensor([0.3, -0.6, 0.9])
    )  # an absent one adds no bias either
    logits, parts = model.fuse(encode(model, store, rows))
    whole = model.contributions(model.encode({m: store.gather(m, rows) for m in THREE}))
    assert parts is not None
    assert whole is not None
    for i in range(24):
        there = [m for m in THREE if m not in GONE or not GONE[m](i)]
        for m in THREE:
            expected = whole[m][i] if m in there else torch.zeros(3)
            torch.testing.assert_close(parts[m][i], expected, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(logits[i], sum(whole[m][i] for m in there), rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_where_all_are_there_presence_changes_no_bit():
    model, store, rows = net("gated").eval(), ground.MemoryStore(THREE), torch.arange(9)
    x = {m: store.gather(m, rows) for m in THREE}
    everyone = {m: torch.ones(9, dtype=torch.bool) for m in THREE}
    assert torch.equal(model.fuse(model.encode(x, everyone))[0], model(x))
    assert "fill" not in replace(model.architecture, fill=None).to_json()
    assert not list(Fill("zero", {"a": 3}).state_dict())


def test_the_rules_of_filling():
    present = torch.tensor([True, False, True, False])
    own = Encoded(torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True))
    zero, mean, learned = (Fill(rule, {"audio": 2}).train() for rule in ("zero", "mean", "learned"))
    assert zero.spread("audio", own, present).pooled.tolist() == [[1, 2], [0, 0], [3, 4], [0, 0]]
    assert mean.spread("audio", own, present).pooled[1].tolist() == [
        2,
        3,
    ]  # the first pass is the mean itself
    mean.spread("audio", Encoded(torch.tensor([[4.0, 5.0]])), torch.tensor([True]))
    assert mean.feature("audio").tolist() == [3, 4]  # of two passes alike
    assert mean.eval().spread("audio", own, present).pooled[3].tolist() == [3, 4]
    with torch.no_grad():  # as where encoders are frozen
        pooled = learned.spread("audio", own, present).pooled
    pooled.sum().backward()
    assert learned.learned["audio"].grad.tolist() == [2, 2]
    nobody = zero.spread("audio", Encoded(torch.zeros(0, 2)), torch.zeros(3, dtype=torch.bool))
    assert torch.equal(nobody.pooled, torch.zeros(3, 2))


def test_a_batch_without_a_modality_gives_its_encoder_gradients_of_zero():
    model, store = net("concat").train(), store_of()
    rows = torch.tensor([1, 4, 7])
    F.cross_entropy(model.fuse(encode(model, store, rows))[0], store.labels[rows]).backward()
    assert all(p.grad is not None and not p.grad.any() for p in model.own("audio"))
    assert any(p.grad.any() for p in model.own("visual"))
    assert all(part.training for part in model.encoder("audio").modules())


@torch.no_grad()
def test_shapley_is_played_by_those_that_are_there():
    """By hand: for each sample the mean over orders of those that it has, of a head that is not additive."""
    model, store, rows = net("gated", "mean").eval(), store_of(), torch.arange(12)
    features = encode(model, store, rows)
    background = absent_features({"train": dict(features)}, features, "mean")
    shares = contribution_shares(model, features, background)

    def value(i: int, names: tuple[str, ...]) -> Tensor:
        chosen = {}
        for m, h in features.items():
            there = m not in presence(features) or bool(presence(features)[m][i])
            chosen[m] = h[i : i + 1] if m in names or not there else background[m]
        return model.fusion(chosen)[0]

    for i in range(12):
        players = [m for m in THREE if m not in GONE or not GONE[m](i)]
        orders = list(permutations(players))
        for m in THREE:
            if m not in players:
                assert torch.equal(shares.phi[m][i], torch.zeros(3))
                continue
            gains = [value(i, o[: o.index(m) + 1]) - value(i, o[: o.index(m)]) for o in orders]
            expected = sum(gains) / len(orders) + value(i, ()) / len(players)
            torch.testing.assert_close(shares.phi[m][i], expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(sum(shares.phi.values()), model.fuse(features)[0], rtol=1e-4, atol=1e-5)


def test_own_losses_count_the_samples_that_have_the_modality():
    method, step = step_of("multi_task", torch.arange(8))
    terms = method.objective(step)
    logits, labels = step.contributions["audio"], step.labels
    expected = sum(-logits[i].log_softmax(0)[labels[i]] for i in range(8) if not GONE["audio"](i)) / 8
    torch.testing.assert_close(terms["audio"], expected)
    torch.testing.assert_close(terms["visual"], F.cross_entropy(step.contributions["visual"], labels))


REFUSED = ("amco", "greedy", "mla")


@pytest.mark.parametrize("name", METHODS.own())
def test_methods_say_whether_they_can(name: str):
    shape = replace(ground.architecture(("audio", "visual")), fill="zero")
    if name not in REFUSED:
        METHODS.get(name).needs.check(name, shape, frozen=False, methods=known_needs())
        return
    others = ", ".join(other for other in METHODS.own() if other not in REFUSED)
    reason = f"needs samples that have every modality, and some lack one; methods for such: {others}"
    with pytest.raises(ModelError, match=rf"^method {name}: {reason}"):
        METHODS.get(name).needs.check(name, shape, frozen=False, methods=known_needs())


def test_encoders_that_exchange_need_all_modalities():
    shape = ground.architecture(("audio", "visual"))
    model, store = MultimodalNet(shape.adding("mmtm")), store_of(("audio", "visual"))
    rows = torch.arange(6)
    x = {m: store.gather(m, rows) for m in model.modalities}
    with pytest.raises(
        ModelError, match=r"^the encoders exchange, and a sample has no audio: such a model needs all"
    ):
        model.encode(x, store.presence(rows))


def test_a_saved_model_fills_as_it_did(tmp_path):
    for fill in ("mean", "learned"):
        model, store = net("gated", fill).train(), store_of()
        encode(model, store, torch.arange(12))
        with torch.no_grad():
            for parameter in model.fill.parameters():
                parameter.add_(0.5)
        save_model(model.eval(), tmp_path / fill)
        again = load_model(tmp_path / fill)
        assert again.architecture.fill == fill
        features = [encode(one, store, torch.arange(12)) for one in (model, again)]
        assert torch.equal(*(one.fuse(h)[0] for one, h in zip((model, again), features, strict=True)))
        assert again.fill.feature("audio").any()


def test_a_probe_is_fitted_on_the_samples_that_have_its_modality():
    torch.manual_seed(0)
    count, labels = {"train": 40, "val": 20, "test": 12}, {}
    plain, features = {}, {}
    for split, n in count.items():
        labels[split] = torch.arange(n) % 3
        h = torch.randn(n, 4) + labels[split][:, None]
        here = torch.arange(n) % 5 != 0
        plain[split] = h[here]
        spoilt = torch.where(here[:, None], h, 1e3)
        features[split] = EncodedFeatures({"audio": Encoded(spoilt, present=here)})
    found = fit_own_probe(features, "audio", labels, 3)
    kept = {split: y[torch.arange(len(y)) % 5 != 0] for split, y in labels.items()}
    expected = fit_probe(plain, kept, 3)
    here = torch.arange(12) % 5 != 0
    assert torch.equal(found.logits["test"][here], expected.logits["test"])
    assert not found.logits["test"][~here].any()


def fitted(
    folder, accumulate: int, method: str = "multi_task", garbage: float | None = None
) -> dict[str, Tensor]:
    """The weights after an epoch in the engine, and its record."""
    store = store_of(garbage=garbage)
    one = ground.engine(folder, method, modalities=THREE, model=net(), accumulate=accumulate)
    one.batches = replace(one.batches, store=store)
    one.fit()
    return {**one.model.state_dict(), "accuracy": torch.tensor(one.state.history[-1]["val/accuracy/audio"])}


def test_micro_batches_and_what_stands_in_the_store_change_no_weight(tmp_path):
    whole, parts = fitted(tmp_path / "one", 1), fitted(tmp_path / "four", 4)
    for name, weight in whole.items():
        torch.testing.assert_close(parts[name], weight, rtol=1e-4, atol=1e-6)
    spoilt = fitted(tmp_path / "garbage", 4, garbage=torch.nan)
    assert all(torch.equal(spoilt[name], parts[name]) for name in parts)


def test_accuracy_of_a_modality_is_over_the_samples_that_have_it(tmp_path):
    weights = fitted(tmp_path, 1, "joint")
    model, store = net().eval(), store_of()
    model.load_state_dict({name: w for name, w in weights.items() if name != "accuracy"})
    rows = store.rows("val")
    with torch.no_grad():
        parts = model.contributions(encode(model, store, rows))
    own = store.present["audio"][rows]
    assert parts is not None
    right = (parts["audio"].argmax(1) == store.labels[rows])[own]
    assert float(weights["accuracy"]) == pytest.approx(float(right.double().mean()))


def test_a_method_that_needs_all_is_stopped_before_the_first_step(tmp_path):
    one = ground.engine(tmp_path, "mla", modalities=THREE, model=net())
    with pytest.raises(ModelError, match=r"^method mla: needs samples that have every modality"):
        one.fit()


@pytest.mark.slow
def test_ranks_train_as_one_where_samples_lack_modalities(tmp_path):
    """Three ranks, of which one has no sample in the last step, and others none that has a modality."""
    jobs = [
        {**ranks.job("multi_task", {}), "fill": "zero", "fusion": "concat"},
        {**ranks.job("joint", {}), "fill": "learned", "fusion": "gated"},
        {**ranks.job("joint", {}), "fill": "zero", "fusion": "attention"},
        {**ranks.job("joint", {}), "fill": "mean", "fusion": "gated"},
    ]
    for k, found in enumerate(ranks.train_in_ranks(tmp_path / "ranks", jobs, 3)):
        ranks.check_ranks(str(jobs[k]), found, ranks.train(tmp_path / f"one-{k}", jobs[k]))


def test_one_sample_with_a_modality_passes_batch_norm_with_its_running_statistics():
    shape = replace(ground.architecture(("audio", "visual")), fill="zero")
    model, store, rows = MultimodalNet(shape).train(), store_of(("audio", "visual")), torch.tensor([0, 1, 4])
    before = {name: buffer.clone() for name, buffer in model.encoder("audio").named_buffers()}
    features = encode(model, store, rows)
    after = dict(model.encoder("audio").named_buffers())
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert all(part.training for part in model.encoder("audio").modules())
    with torch.no_grad():
        expected = model.eval().encode_one("audio", store.gather("audio", rows[:1]))
    torch.testing.assert_close(features["audio"][:1], expected)


def test_a_mean_is_over_the_modalities_that_a_sample_has():
    shape = replace(ground.architecture(THREE), fill="zero", fusion=Choice(name="sum", mean=True))
    torch.manual_seed(0)
    model, store, rows = MultimodalNet(shape).eval(), store_of(), torch.arange(12)
    with torch.no_grad():
        features = encode(model, store, rows)
        logits, parts = model.fuse(features)
        branches = model.branches(features)
        for i in range(12):
            there = [m for m in THREE if m not in GONE or not GONE[m](i)]
            said = {m: model.fusion.linears[m](features[m][i]) for m in there}
            torch.testing.assert_close(logits[i], sum(said.values()) / len(there))
            for m in there:
                torch.testing.assert_close(branches[m][i], said[m])
                torch.testing.assert_close(parts[m][i], said[m] / len(there))


def test_accuracy_of_a_modality_that_nobody_has_is_not_written(tmp_path):
    store = store_of()
    store.present["audio"][store.rows("val")] = False
    one = ground.engine(tmp_path, "joint", modalities=THREE, model=net())
    one.batches = replace(one.batches, store=store)
    one.fit()
    assert "val/accuracy/audio" not in one.state.history[-1]
    assert {"train/accuracy/audio", "val/accuracy/visual"} <= one.state.history[-1].keys()


def test_a_sample_without_any_modality_is_not_predicted(tmp_path):
    model, store = net(), store_of()
    save_model(model.eval(), tmp_path)
    sample = {m: store.gather(m, torch.arange(1))[0].numpy() for m in THREE}
    predictor = Predictor(tmp_path)
    assert predictor([sample], [["visual"]])[0] is not None
    with pytest.raises(
        ModelError, match=r"^sample 1: has none of audio, visual, touch; a prediction needs one"
    ):
        predictor([sample, sample], [["visual"], []])


def test_scaling_leaves_what_is_absent_as_it_is():
    here = torch.tensor([True, False, True])
    features = EncodedFeatures({"audio": Encoded(torch.ones(3, 2), present=here)})
    found = scaled(features, {"audio": torch.tensor([0.0, 0.0, 2.0])})
    assert found["audio"].tolist() == [[0, 0], [1, 1], [2, 2]]


def test_batches_are_joined_where_only_one_of_them_lacks_a_modality():
    whole, lacking = {"touch": torch.ones(2, 3)}, torch.tensor([True, False])
    half = features_of({"touch": Encoded(torch.zeros(2, 3), present=lacking)})
    for parts, expected in (
        ((whole, half), [True, True, True, False]),
        ((half, whole), [True, False, True, True]),
    ):
        assert presence(joined(parts))["touch"].tolist() == expected
