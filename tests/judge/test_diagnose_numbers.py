"""Shares, overrides, margins, ranks: numbers worked out by hand."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import recall_score

from ambidex.base.statistics import bootstrap_means, reflected
from ambidex.configuration.params import Evaluate
from ambidex.judge.diagnose.capability import Capability
from ambidex.judge.diagnose.logits import Logits, margins
from ambidex.judge.diagnose.weights import BLOCKS, Weights, effective_rank, rank_interval
from ambidex.judge.imbalance import class_totals, decision_imbalance, decision_share, shares, spread_by_class
from ambidex.judge.probes import fit_probes
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


def test_decision_imbalance_of_a_toy_by_hand():
    """Three classes of two samples. Right: audio 2, 1, 0 times, visual 1, 1, 2 times of two.

    kappa of audio: 2/3, 1/2, 0. rho of audio: (4 + 2) / 8, (1 + 1) / 4, class 2: (1 - 3) + (1 + 0) is not positive.
    DI = (|3/4 - 2/3| + |1/2 - 1/2|) / 2.
    """
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    right = torch.tensor([[1, 1], [1, 0], [1, 0], [0, 1], [0, 1], [0, 1]])
    own = torch.tensor([[4, 1], [2, 1], [1, 1], [1, 1], [1, 1], [-3, 0]], dtype=torch.float32)
    kappa = shares(class_totals(right, labels, 3))
    assert kappa.tolist() == [pytest.approx([2 / 3, 1 / 2, 0]), pytest.approx([1 / 3, 1 / 2, 1])]
    z = torch.nn.functional.one_hot(labels, 3)[:, None, :] * own[:, :, None]
    rho = decision_share(z, labels)
    assert rho[0, :2].tolist() == pytest.approx([3 / 4, 1 / 2])
    assert rho[:, 2].isnan().all()
    assert decision_imbalance(rho, kappa).item() == pytest.approx((3 / 4 - 2 / 3) / 2)


def test_capability_and_imbalance_are_those_of_plain_loops():
    evaluation = make_evaluation({"audio": [1, 0.5, 0.2], "visual": [0.2, 0.5, 1]}, noise=3.0)
    test, found = evaluation.test, Capability().run(evaluation)
    recalls = {
        m: recall_score(test.labels, probe.logits["test"].argmax(1), average=None)
        for m, probe in fit_probes(evaluation).own.items()
    }
    distances = []
    for c in range(3):
        spoke = {m: z[test.labels == c, c].double().sum().item() for m, z in test.contributions.items()}
        for m in evaluation.modalities:
            row = found.metrics["by_class"][m][f"class{c}"]
            rho, kappa = (
                part[m] / sum(part.values()) for part in (spoke, {k: v[c] for k, v in recalls.items()})
            )
            assert (row["recall"], row["capability"]) == pytest.approx((recalls[m][c], kappa))
            assert row["share"] == pytest.approx(rho, abs=1e-6)
            distances.append(abs(rho - kappa))
    assert found.metrics["decision_imbalance"] == pytest.approx(np.mean(distances), abs=1e-6)
    by_class = found.metrics["decision_imbalance_by_class"]
    assert list(by_class.values()) == pytest.approx(np.reshape(distances, (3, 2)).mean(1).tolist(), abs=1e-6)


def test_the_interval_of_decision_imbalance_is_that_of_a_loop_over_the_same_samples():
    evaluation = make_evaluation(
        {"audio": [1, 0.5], "visual": [0.2, 0.5]}, noise=3.0, params=Evaluate(resamples=100, seed=3)
    )
    test, found = evaluation.test, Capability().run(evaluation).metrics
    labels = test.labels.numpy()
    right = [(p.logits["test"].argmax(1) == test.labels).numpy() for p in fit_probes(evaluation).own.values()]
    spoke = [z.double().numpy()[np.arange(len(labels)), labels] for z in test.contributions.values()]

    def imbalance(rows):
        total = 0.0
        for c in range(2):
            own = rows[labels[rows] == c]
            could, did = ([values[own].sum() for values in part] for part in (right, spoke))
            total += sum(abs(d / sum(did) - k / sum(could)) for d, k in zip(did, could, strict=True)) / 4
        return total

    generator = torch.Generator().manual_seed(3)
    drawn = torch.randint(len(labels), (100, len(labels)), generator=generator, dtype=torch.int32).numpy()
    value, draws = imbalance(np.arange(len(labels))), [imbalance(rows) for rows in drawn]
    low, high = np.quantile(draws, [0.025, 0.975])
    assert found["decision_imbalance"] == pytest.approx(value, abs=1e-6)
    assert found["decision_imbalance_bias"] == pytest.approx(np.mean(draws) - value, abs=1e-6)
    ends = found["decision_imbalance_low"], found["decision_imbalance_high"]
    assert ends == pytest.approx((max(0, 2 * value - high), max(value, 2 * value - low)), abs=1e-6)


def test_the_interval_of_decision_imbalance_covers_it_where_percentiles_do_not():
    """Contributions and probes whose shares are known: audio decides 3/4 and 1/2, both can do the same: DI 1/8."""
    draws = torch.Generator().manual_seed(3)
    labels = torch.arange(100) % 2
    spoke = torch.tensor([[3.0, 1.0], [2.0, 2.0]])[labels]
    covered = {"reflected": 0, "percentiles": 0}

    def imbalance(means):
        right, decided = means.reshape(-1, 2, 2, 2).unbind(1)
        return decision_imbalance(shares(decided), shares(right))[:, None]

    for seed in range(150):
        right = (torch.rand(100, 2, generator=draws) < 0.6).double()
        own = spoke + 2.5 * torch.randn(100, 2, generator=draws)
        columns = torch.cat([spread_by_class(v, labels, 2).flatten(1) for v in (right, own)], 1)
        sample = imbalance(bootstrap_means(columns, 200, seed))
        low, high = reflected(imbalance(columns.mean(0, keepdim=True))[0], sample)[0]
        covered["reflected"] += low <= 1 / 8 <= high
        low, high = np.quantile(sample.numpy(), [0.025, 0.975])
        covered["percentiles"] += low <= 1 / 8 <= high
    assert covered["reflected"] >= 0.9 * 150
    assert covered["percentiles"] < covered["reflected"]


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


def test_override_rates_are_those_of_a_loop_over_samples():
    evaluation = make_evaluation({m: [1, 0.3, 0.3] for m in ("audio", "visual", "text")}, noise=4.0)
    test, found = evaluation.test, Logits().run(evaluation)
    for m in evaluation.modalities:
        counts = {name: [0, 0] for name in ("override", "unjustified", "justified")}
        for n, label in enumerate(test.labels.tolist()):
            said = {k: int(z[n].argmax()) for k, z in test.contributions.items()}
            decided, right = int(test.logits[n].argmax()), {k for k, c in said.items() if c == label}
            holds = {
                "override": len(set(said.values())) > 1,
                "unjustified": bool(right) and m not in right,
                "justified": m in right and len(right) < 3,
            }
            for name, condition in holds.items():
                counts[name][1] += condition
                counts[name][0] += condition and decided == said[m]
        override = found.metrics[m]["override"]
        for name, (followed, there) in counts.items():
            assert there > 5
            assert override[f"{name}_samples"] == there
            assert override[name] == pytest.approx(followed / there)


def test_means_by_modality_and_by_class_are_those_of_numpy():
    evaluation = make_evaluation({"audio": [1, 0.3, 0.3], "visual": [0.2, 1, 0.5]}, noise=4.0)
    test, found = evaluation.test, Logits().run(evaluation)
    labels = test.labels.numpy()
    z = {m: value.double().numpy() for m, value in test.contributions.items()}
    own = {m: value[np.arange(len(labels)), labels] for m, value in z.items()}
    wrong = {m: np.where(np.eye(3, dtype=bool)[labels], -np.inf, value).max(1) for m, value in z.items()}
    for row in found.tables["contributions"]:
        m, chosen = row["modality"], labels == int(row["class"][-1])
        assert row["samples"] == chosen.sum()
        assert row["contribution"] == pytest.approx(own[m][chosen].mean(), abs=1e-6)
        assert row["margin"] == pytest.approx((own[m] - wrong[m])[chosen].mean(), abs=1e-6)
        error = (own[m] - wrong[m])[chosen].std() / chosen.sum() ** 0.5
        assert row["margin_high"] - row["margin_low"] == pytest.approx(3.92 * error, rel=0.3)
    for row in found.tables["evidence"]:
        m = row["modality"]
        assert row["margin"] == pytest.approx((own[m] - wrong[m]).mean(), abs=1e-6)
        assert row["share"] == pytest.approx(own[m].sum() / sum(own.values()).sum(), abs=1e-6)
        numbers = found.metrics[m]
        assert numbers["contribution"]["mean"] == pytest.approx(row["contribution"])
        assert numbers["contribution"]["mean_low"] == row["contribution_low"]
        assert numbers["decision_share"]["share"] == row["share"]


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


@pytest.mark.parametrize("shape", [(61, 7), (30, 50)])
def test_the_interval_of_an_effective_rank_is_a_jackknife_over_blocks(shape):
    h = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * torch.linspace(1, 3, shape[1])

    def rank(rows):
        singular = np.linalg.svd(h.double().numpy()[rows], compute_uv=False)
        part = singular / singular.sum()
        return np.exp(-(part * np.log(part)).sum())

    everything = np.arange(len(h))
    order = torch.randperm(len(h), generator=torch.Generator().manual_seed(4)).numpy()
    left = [rank(np.setdiff1d(everything, block)) for block in np.array_split(order, BLOCKS)]
    error = np.sqrt((BLOCKS - 1) / BLOCKS * ((left - np.mean(left)) ** 2).sum())
    centre = rank(everything)
    assert effective_rank(h) == pytest.approx(centre, rel=1e-6)
    assert rank_interval(h, seed=4) == pytest.approx(
        (centre - 2.093 * error, centre + 2.093 * error), rel=1e-6
    )


def test_the_interval_of_an_effective_rank_covers_that_of_many_samples():
    draws = torch.Generator().manual_seed(0)
    scale = torch.linspace(0.2, 2, 6)
    truth = effective_rank(torch.randn(200_000, 6, generator=draws) * scale)
    ends = [rank_interval(torch.randn(300, 6, generator=draws) * scale) for _ in range(60)]
    assert sum(low <= truth <= high for low, high in ends) >= 0.88 * 60


def test_few_samples_have_an_effective_rank_without_an_interval():
    assert all(math.isnan(end) for end in rank_interval(torch.randn(BLOCKS - 1, 3)))


def test_weights_are_counted_once_and_have_no_interval():
    evaluation = make_evaluation({"audio": [1, 1, 0], "visual": [0, 1, 1]})
    found = Weights().run(evaluation)
    block = evaluation.model.fusion.linear.weight.detach()[:, :8]
    assert found.metrics["weight_size"]["audio"] == pytest.approx(block.abs().mean().item())
    rows = [row for row in found.tables["weight_histogram"] if row["modality"] == "audio"]
    assert sum(row["count"] for row in rows) == block.numel()
    assert not any(key.endswith("_low") for row in found.tables["weight_norms"] for key in row)


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


def test_an_additive_head_that_is_not_linear_has_no_weights_to_compare():
    found = Weights().run(make_evaluation({"audio": [1, 1], "visual": [1, 1]}, fusion="boosted"))
    assert found.metrics["weight_norm"] is None
    assert "not linear in the features" in found.sentences[-1]


def test_a_louder_modality_raises_decision_imbalance():
    even, loud = (
        Capability().run(make_evaluation({"audio": [1] * 4, "visual": [1] * 4}, scales={"audio": s})).metrics
        for s in (1.0, 6.0)
    )
    assert loud["decision_imbalance"] > even["decision_imbalance"] + 0.1
    assert loud["by_class"]["audio"]["class0"]["share"] > 0.75
