"""Conditional utilisation against accuracies counted one sample at a time, for both of its kinds."""

from dataclasses import replace

import pytest
import torch

from ambidex.configuration.params import Evaluate
from ambidex.configuration.values import Choice
from ambidex.judge.diagnose.shapley import Shapley
from ambidex.judge.diagnose.utilisation import Utilisation
from ambidex.judge.evaluation import Evaluation, collect
from ambidex.net.model import MultimodalNet
from helpers.evaluations import make_evaluation
from helpers.memory_store import PLAIN_ENCODERS, MemoryStore, architecture
from helpers.mmtm import by_hand

TWO = ("audio", "visual")
ONE_SIDED = {"audio": [1, 1, 0, 0, 1, 1], "visual": [0, 0, 1, 1, 1, 1]}
SIZES = {"train": 30, "val": 12, "test": 36}


def _exchanging(modalities=TWO, batch_size=7, splits=("train", "val", "test"), **encoders):
    """A model that exchanges, made to know something: its classifiers are fitted on its training features."""
    plan = architecture(modalities)
    plan = replace(plan, fusion=Choice(name="sum", mean=True)).adding("mmtm", ratio=1)
    torch.manual_seed(0)
    model = MultimodalNet(replace(plan, encoders={m: PLAIN_ENCODERS[m] for m in modalities})).eval()
    store = MemoryStore(modalities, SIZES)
    with torch.no_grad():
        for stage in model.exchange.transfers():
            for gate in stage.gates.values():
                gate.weight.mul_(30)  # a loud exchange
        features = model.encode({m: store.gather(m, store.rows("train")) for m in modalities})
        labels = torch.nn.functional.one_hot(store.labels[store.rows("train")], 3).double()
        for m, layer in model.fusion.linears.items():  # ridge regression
            h = torch.cat([features[m], torch.ones(30, 1)], dim=1).double()
            solved = torch.linalg.solve(h.T @ h + 0.01 * torch.eye(9).double(), h.T @ labels)
            layer.weight.copy_(solved[:-1].T)
            layer.bias.copy_(solved[-1])
    seen = collect(model, store, splits, batch_size, torch.device("cpu"))
    return Evaluation(Evaluate(resamples=200), model, plan.classes, modalities, seen), store


def _accuracy(logits, labels):
    return sum(int(row.argmax()) == y for row, y in zip(logits, labels.tolist(), strict=True)) / len(labels)


def _by_hand(model, store):
    """Accuracy of each stream on test, told of the other and told the training average."""
    told, x = {}, {s: {m: store.gather(m, store.rows(s)) for m in TWO} for s in SIZES}

    def note(number, name, squeezed):
        told[number] = {m: value.mean(0) for m, value in squeezed.items()}
        return squeezed

    by_hand(model, x["train"], note)
    usual = dict(told)

    def average(number, name, squeezed):
        return {m: s if m == name else usual[number][m].expand_as(s) for m, s in squeezed.items()}

    labels, found = store.labels[store.rows("test")], {}
    for what, change in (("with", None), ("without", average)):
        features = by_hand(model, x["test"], change)[0]
        found[what] = {m: _accuracy(model.fusion.linears[m](features[m]), labels) for m in TWO}
    return found, features


@pytest.mark.parametrize("modalities", [TWO, TWO[::-1]])
@torch.no_grad()
def test_of_encoders_that_exchange_it_is_that_of_the_paper(modalities):
    evaluation, store = _exchanging(modalities)
    expected, isolated = _by_hand(evaluation.model, store)
    for m in TWO:
        torch.testing.assert_close(evaluation.test.isolated[m], isolated[m], rtol=1e-4, atol=1e-5)
    found = Utilisation().run(evaluation)
    metrics = found.metrics
    assert metrics["kind"] == "exchange"
    assert metrics["absent"] is None
    assert set(metrics["pairs"]) == {"audio|visual", "visual|audio"}
    rates = {}
    for m, other in (TWO, TWO[::-1]):
        pair = metrics["pairs"][f"{other}|{m}"]
        assert pair["accuracy"] == pytest.approx(expected["with"][m])
        assert pair["accuracy_without"] == pytest.approx(expected["without"][m])
        rates[m] = 1 - expected["without"][m] / expected["with"][m]
        assert pair["utilisation"] == pytest.approx(rates[m])
        assert pair["utilisation_low"] <= rates[m] <= pair["utilisation_high"]
    assert metrics["difference"] == pytest.approx(rates[modalities[0]] - rates[modalities[1]])
    assert rates["audio"] != rates["visual"]
    assert "as in Wu et al. (2022)" in found.sentences[0]


def test_batches_change_nothing_and_test_alone_is_passed_twice():
    first, _ = _exchanging()
    calls = []
    begin = type(first.model.encoder("audio")).begin
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            type(first.model.encoder("audio")),
            "begin",
            lambda self, x: (calls.append(len(x)), begin(self, x))[1],
        )
        second, _ = _exchanging(batch_size=100)
    passed = {size: calls.count(size) // 2 for size in set(calls)}
    assert passed == {30: 1 + 1, 12: 1, 36: 2}  # of train once where the classifiers are fitted
    for m in TWO:
        torch.testing.assert_close(first.test.isolated[m], second.test.isolated[m], rtol=1e-4, atol=1e-6)
    assert not second.val.isolated
    assert not second.train.isolated


def test_without_the_training_split_no_stream_is_isolated():
    evaluation, _ = _exchanging(splits=("val", "test"))
    assert not evaluation.test.isolated


@pytest.mark.parametrize("fusion", ["concat", "film"])
def test_of_other_models_it_is_of_features_and_says_so(fusion):
    evaluation = make_evaluation(ONE_SIDED, fusion=fusion)
    found = Utilisation().run(evaluation)
    assert found.metrics["kind"] == "features"
    assert found.metrics["absent"] == "mean"
    assert "not the rate of Wu et al." in found.sentences[0]
    assert "'mean'" in found.sentences[0]
    test, rates = evaluation.test, {}
    whole = _accuracy(test.logits, test.labels)
    for k, m in (TWO, TWO[::-1]):
        mean = evaluation.train.features[k].mean(0).expand_as(test.features[k])
        with torch.no_grad():
            without = _accuracy(evaluation.model.fuse({**test.features, k: mean})[0], test.labels)
        rates[k] = 1 - without / whole
        pair = found.metrics["pairs"][f"{k}|{m}"]
        assert pair["accuracy"] == pytest.approx(whole)
        assert pair["utilisation"] == pytest.approx(rates[k])
    assert found.metrics["difference"] == pytest.approx(rates["visual"] - rates["audio"])


def test_intervals_are_those_of_paired_samples():
    """A difference of rates of the same samples: the normal interval of its linearisation."""
    sizes = {"train": 240, "val": 120, "test": 600}
    evaluation = make_evaluation(
        {"audio": [1, 1, 1], "visual": [0.3] * 3}, sizes=sizes, params=Evaluate(resamples=2000)
    )
    found = Utilisation().run(evaluation).metrics
    test = evaluation.test
    right = (test.logits.argmax(1) == test.labels).double()
    lost = []
    for k in TWO:
        mean = evaluation.train.features[k].mean(0).expand_as(test.features[k])
        with torch.no_grad():
            said = evaluation.model.fuse({**test.features, k: mean})[0]
        lost.append((said.argmax(1) == test.labels).double())
    a, without = right.mean(), [x.mean() for x in lost]
    by_sample = (lost[0] - lost[1]) / a - (without[0] - without[1]) / a**2 * right
    half = 1.96 * by_sample.std().item() / len(right) ** 0.5
    assert found["difference_low"] == pytest.approx(found["difference"] - half, abs=0.02)
    assert found["difference_high"] == pytest.approx(found["difference"] + half, abs=0.02)


def test_of_more_than_two_each_is_against_all_others():
    found = Utilisation().run(make_evaluation({**ONE_SIDED, "text": [1] * 6}))
    assert set(found.metrics["pairs"]) == {"audio|visual+text", "visual|audio+text", "text|audio+visual"}
    assert "difference" not in found.metrics


def test_where_nothing_is_right_it_is_undefined():
    evaluation = make_evaluation(ONE_SIDED)
    wrong = replace(
        evaluation.test, logits=-1e6 * torch.nn.functional.one_hot(evaluation.test.labels, 6).float()
    )
    found = Utilisation().run(replace(evaluation, splits={**evaluation.splits, "test": wrong}))
    assert found.metrics["pairs"]["audio|visual"]["utilisation"] is None
    assert found.metrics["difference"] is None
    assert any("undefined" in sentence for sentence in found.sentences)


def test_what_absent_features_mean_is_said_where_encoders_exchange():
    evaluation, _ = _exchanging()
    assert any("encoders exchange" in sentence for sentence in Shapley().run(evaluation).sentences)
    assert not any("exchange" in sentence for sentence in Shapley().run(make_evaluation(ONE_SIDED)).sentences)
