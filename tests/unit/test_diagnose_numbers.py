"""Shares, overrides, margins, ranks: numbers worked out by hand."""

import dataclasses
import math

import pytest
import torch

from ambidex.diagnose.capability import Capability
from ambidex.diagnose.logits import Logits, margins
from ambidex.diagnose.weights import Weights, effective_rank
from ambidex.imbalance import decision_imbalance, decision_share, shares
from helpers.evaluations import make_evaluation


def test_decision_share_by_hand():
    # class 0: audio 3 and 1, visual 1 and 1: shares 4/6, 2/6; class 1: sum -1: undefined; class 2: no sample
    z = torch.tensor([[[3.0, 9, 9], [1, 9, 9]], [[1, 9, 9], [1, 9, 9]], [[9, 1, 9], [9, -2, 9]]])
    rho = decision_share(z, torch.tensor([0, 0, 1]))
    assert rho[:, 0].tolist() == pytest.approx([4 / 6, 2 / 6])
    assert rho[:, 1:].isnan().all()


def test_decision_imbalance_by_hand_leaves_undefined_classes_out():
    rho = torch.tensor([[0.9, 0.5, math.nan], [0.1, 0.5, math.nan]])
    kappa = torch.tensor([[0.6, 0.3, 0.5], [0.4, 0.7, 0.5]])
    assert decision_imbalance(rho, kappa).item() == pytest.approx((0.3 + 0.2) / 2)
    assert decision_imbalance(rho * math.nan, kappa).isnan()


def test_capability_shares_of_recalls_by_hand():
    recall = torch.tensor([[0.9, 0.0], [0.3, 0.0]])
    assert shares(recall)[:, 0].tolist() == pytest.approx([0.75, 0.25])
    assert shares(recall)[:, 1].isnan().all()


def test_margin_is_to_the_best_wrong_class():
    z = torch.tensor([[[2.0, 5.0, 1.0], [4.0, 0.0, 3.0]]])
    assert margins(z, torch.tensor([0])).tolist() == [[-3.0, 1.0]]


def with_test(evaluation, z, labels):
    z = torch.tensor(z, dtype=torch.float32)
    contributions = {m: z[:, i] for i, m in enumerate(evaluation.modalities)}
    test = dataclasses.replace(
        evaluation.test,
        labels=torch.tensor(labels),
        contributions=contributions,
        branches=contributions,
        logits=z.sum(1),
    )
    return dataclasses.replace(evaluation, splits={**evaluation.splits, "test": test})


def test_override_rates_by_hand():
    z = [
        [[5, 0], [0, 1]],  # disagree, audio wins; label 1: unjustified for audio
        [[5, 0], [0, 1]],  # disagree, audio wins; label 0: justified
        [[1, 0], [0, 3]],  # disagree, visual wins; label 1: justified
        [[2, 0], [2, 0]],  # agree
    ]
    evaluation = with_test(make_evaluation({"audio": [1, 1], "visual": [1, 1]}), z, [1, 0, 1, 1])
    found = Logits().run(evaluation).metrics
    assert found["audio"]["override"]["override"] == pytest.approx(2 / 3)
    assert found["visual"]["override"]["override"] == pytest.approx(1 / 3)
    assert found["audio"]["override"]["unjustified"] == pytest.approx(1 / 2)
    assert found["visual"]["override"]["unjustified"] == pytest.approx(0)
    assert found["audio"]["override"]["override_samples"] == 3
    assert found["audio"]["contribution"]["mean"] == pytest.approx((0 + 5 + 0 + 0) / 4)
    assert found["audio"]["share"]["class0"] == pytest.approx(1)


def test_modalities_that_never_disagree_override_nobody():
    evaluation = with_test(make_evaluation({"audio": [1, 1], "visual": [1, 1]}), [[[1, 0], [2, 0]]], [0])
    override = Logits().run(evaluation).metrics["audio"]["override"]
    assert override["override"] is None
    assert override["unjustified"] is None


def test_histograms_count_every_sample_once():
    rows = (
        Logits()
        .run(make_evaluation({"audio": [1, 1, 0], "visual": [0, 1, 1]}))
        .tables["contribution_histogram"]
    )
    for quantity in ("contribution", "margin"):
        for m in ("audio", "visual"):
            assert sum(r["count"] for r in rows if (r["quantity"], r["modality"]) == (quantity, m)) == 120


def test_effective_rank_of_known_spectra():
    basis = torch.linalg.qr(torch.randn(50, 50, generator=torch.Generator().manual_seed(0))).Q
    assert effective_rank(basis[:, :7]) == pytest.approx(7, rel=1e-3)
    assert effective_rank(basis[:, :2] * torch.tensor([3.0, 1.0])) == pytest.approx(
        math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25))), rel=1e-4
    )
    assert effective_rank(torch.ones(5, 20)) == pytest.approx(1, rel=1e-3)
    assert effective_rank(basis[:5]) == pytest.approx(5, rel=1e-3)


def test_weight_norms_are_those_of_the_blocks():
    evaluation = make_evaluation({"audio": [1, 1, 0], "visual": [0, 1, 1]}, scales={"audio": 3.0})
    found = Weights().run(evaluation).metrics
    block = evaluation.model.fusion.linear.weight[:, :8]
    assert found["weight_norm"]["audio"]["class1"] == pytest.approx(block[1].norm().item(), rel=1e-5)
    norms = [found["weight_norm"][m]["class1"] for m in ("audio", "visual")]
    assert found["log_ratio"]["audio/visual"]["class1"] == pytest.approx(
        math.log(norms[0] / norms[1]), rel=1e-5
    )


def test_a_head_that_is_not_additive_says_so():
    found = Weights().run(make_evaluation({"audio": [1, 1], "visual": [1, 1]}, fusion="film"))
    assert found.metrics["weight_norm"] is None
    assert "not additive" in found.sentences[-1]


def test_a_louder_modality_raises_decision_imbalance():
    even, loud = (
        Capability().run(make_evaluation({"audio": [1] * 4, "visual": [1] * 4}, scales={"audio": s})).metrics
        for s in (1.0, 6.0)
    )
    assert loud["decision_imbalance"] > even["decision_imbalance"] + 0.1
    assert loud["by_class"]["audio"]["class0"]["share"] > 0.75
