"""Linear probes: scikit-learn on the same objective, and the gaps they find in models broken on purpose."""

import dataclasses

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score

from ambidex.judge import probes
from ambidex.judge.diagnose.probes import Probes
from ambidex.judge.evaluation import Unimodal
from ambidex.judge.held_out import HeldOut
from ambidex.judge.probes import fit_probe, fit_probes
from helpers.evaluations import make_evaluation, make_features

BOTH = {"audio": [1, 1, 1, 1], "visual": [1, 1, 1, 1]}
LARGE = {"train": 400, "val": 200, "test": 400}


@pytest.mark.parametrize("strength", [1.0, 1e-2, 1e-4])
@pytest.mark.parametrize("dim", [5, 60])
def test_a_probe_is_the_optimum_that_scikit_learn_finds(monkeypatch, strength, dim):
    monkeypatch.setattr(probes, "STRENGTHS", (strength,))
    draws = torch.Generator().manual_seed(0)
    mixing = torch.randn(dim, dim, generator=draws)
    labels = {
        s: torch.randint(3, (n,), generator=draws) for s, n in (("train", 50), ("val", 40), ("test", 40))
    }
    x = {
        s: (torch.randn(len(y), dim, generator=draws) + y[:, None] * 0.3) @ mixing + 5
        for s, y in labels.items()
    }
    for split in x.values():
        split[:, 1] = 3.0  # a feature without variance
    found = fit_probe(x, labels, 3)
    mean, std = x["train"].double().mean(0), x["train"].double().std(0, correction=0)
    std[1] = 1
    scaled = {s: ((h.double() - mean) / std).numpy() for s, h in x.items()}
    oracle = LogisticRegression(C=1 / (strength * 50), tol=1e-10, max_iter=20_000).fit(
        scaled["train"], labels["train"]
    )
    ours = found.logits["test"].softmax(1)
    torch.testing.assert_close(
        ours, torch.from_numpy(oracle.predict_proba(scaled["test"])), atol=1e-4, rtol=1e-3
    )
    assert found.record["gradient_norm"] < 2e-6


def test_the_linear_map_of_a_probe_is_the_probe():
    """Far from the origin, at very different scales, with a feature that is constant in training only."""
    draws = torch.Generator().manual_seed(1)
    labels = {s: torch.arange(n) % 3 for s, n in (("train", 60), ("val", 30), ("test", 30))}
    scales = torch.tensor([1e-3, 1.0, 50.0, 1.0])
    x = {s: (torch.randn(len(y), 4, generator=draws) + y[:, None]) * scales + 7 for s, y in labels.items()}
    x["train"][:, 3] = 2.0
    found = fit_probe(x, labels, 3)
    assert (found.weight.shape, found.bias.shape) == ((3, 4), (3,))
    for split in ("val", "test"):
        said = x[split].double() @ found.weight.T + found.bias
        torch.testing.assert_close(said, found.logits[split], atol=1e-8, rtol=1e-8)


def test_strength_is_chosen_on_validation():
    """Noise features: the strongest penalty is best. Clear classes: a weak one is."""
    draws = torch.Generator().manual_seed(0)
    labels = {s: torch.arange(n) % 3 for s, n in LARGE.items()}
    noise = {s: torch.randn(len(y), 20, generator=draws) for s, y in labels.items()}
    clear = {s: h + 3 * torch.nn.functional.one_hot(labels[s], 20) for s, h in noise.items()}
    assert fit_probe(noise, labels, 3).strength == probes.STRENGTHS[0]
    assert fit_probe(clear, labels, 3).strength < 0.1


def test_probes_are_fitted_once_and_look_at_no_test_label():
    evaluation = make_evaluation(BOTH)
    first = fit_probes(evaluation)
    assert fit_probes(evaluation) is first
    turned = dataclasses.replace(evaluation.test, labels=evaluation.test.labels.flip(0))
    other = dataclasses.replace(evaluation, splits={**evaluation.splits, "test": turned})
    assert torch.equal(fit_probes(other).joint.logits["test"], first.joint.logits["test"])


def test_one_modality_has_one_probe():
    evaluation = make_evaluation({"audio": [1, 1, 1]})
    assert fit_probes(evaluation).joint is fit_probes(evaluation).own["audio"]


def test_a_head_deaf_to_a_modality_is_a_decision_gap():
    healthy = Probes().run(make_evaluation(BOTH, noise=2.5, sizes=LARGE))
    deaf = Probes().run(make_evaluation(BOTH, noise=2.5, sizes=LARGE, scales={"visual": 0.0}))
    assert deaf.metrics["decision_gap"]["low"] > 0.03
    assert abs(healthy.metrics["decision_gap"]["difference"]) < 0.05
    trained = deaf.metrics["probes"]["joint"]["accuracy"] - deaf.metrics["decision_gap"]["difference"]
    assert f"the trained head {trained:.1%}" in deaf.sentences[0]


def test_features_worse_than_those_trained_alone_are_a_representation_gap():
    evaluation = make_evaluation(
        {"audio": [1, 1, 1, 1], "visual": [0.1, 0.1, 0.1, 0.1]}, noise=2.5, sizes=LARGE
    )
    better = {
        s: make_features(split.labels, {"audio": [1] * 4, "visual": [1] * 4}, 8, 2.5, seed=77 + i)["visual"]
        for i, (s, split) in enumerate(evaluation.splits.items())
    }
    given = {
        "audio": Unimodal({}, {s: split.features["audio"] for s, split in evaluation.splits.items()}, {}),
        "visual": Unimodal({}, better, {}),
    }
    found = Probes().run(dataclasses.replace(evaluation, unimodal=given))
    gaps = found.metrics["representation_gap"]
    assert gaps["audio"]["difference"] == 0
    assert gaps["visual"]["low"] > 0.1
    assert f"visual {100 * gaps['visual']['difference']:+.1f} points" in found.sentences[-1]


def test_gaps_are_differences_of_accuracies_on_test():
    evaluation = make_evaluation({"audio": [1] * 4, "visual": [0.3] * 4}, noise=2.5, sizes=LARGE)
    found, fitted = Probes().run(evaluation), fit_probes(evaluation)
    labels, test = evaluation.test.labels.numpy(), evaluation.test

    def reached(logits, y=labels):
        return accuracy_score(y, logits.argmax(1))

    metrics = found.metrics
    own = {m: reached(probe.logits["test"]) for m, probe in fitted.own.items()}
    for m in evaluation.modalities:
        gap = metrics["head_slice_gap"][m]
        assert gap["difference"] == pytest.approx(own[m] - reached(test.contributions[m]))
        assert gap["low"] <= gap["difference"] <= gap["high"]
    on_val = {m: reached(p.logits["val"], evaluation.val.labels) for m, p in fitted.own.items()}
    assert {m: metrics["probes"][m]["val_accuracy"] for m in on_val} == pytest.approx(on_val)
    assert metrics["best_alone"]["modality"] == "audio" == max(on_val, key=on_val.get)
    assert metrics["best_alone"]["difference"] == pytest.approx(own["audio"] - reached(test.logits))
    joint = reached(fitted.joint.logits["test"]) - reached(test.logits)
    assert metrics["decision_gap"]["difference"] == pytest.approx(joint)
    rows = {(row["kind"], row["modality"]): row["gap"] for row in found.tables["gaps"]}
    assert rows["best alone", "audio"] == metrics["best_alone"]["difference"]
    assert rows["decision", ""] == metrics["decision_gap"]["difference"]


def test_the_best_probe_is_not_chosen_on_test():
    evaluation = make_evaluation({"audio": [1] * 4, "visual": [0.5] * 4}, noise=2.5, sizes=LARGE)
    spoilt = dataclasses.replace(
        evaluation.test, features=dict(zip(BOTH, reversed(evaluation.test.features.values()), strict=True))
    )
    swapped = dataclasses.replace(evaluation, splits={**evaluation.splits, "test": spoilt})
    assert Probes().run(swapped).metrics["best_alone"]["modality"] == "audio"


def test_without_validation_the_cross_fitted_samples_choose():
    evaluation = make_evaluation({"audio": [1] * 4, "visual": [1] * 4}, sizes=LARGE)
    val = evaluation.val
    right = torch.nn.functional.one_hot(val.labels, 4).double()
    seen = {"contributions": val.stacked(), "probes": torch.stack([-right, right], dim=1)}
    held_out = HeldOut(evaluation.modalities, val.labels, val.groups, seen)
    splits = {name: split for name, split in evaluation.splits.items() if name != "val"}
    found = Probes().run(dataclasses.replace(evaluation, splits=splits, held_out=held_out)).metrics
    assert found["best_alone"]["modality"] == "visual"
    assert found["probes"]["joint"]["val_accuracy"] is None
