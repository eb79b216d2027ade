"""Bias of a model: shares by hand, intervals against NumPy's own resampling, and when the answer is yes or no."""

import numpy as np
import pytest
import torch

from ambidex.report.lean import MARGIN, answer, level_of_one, over_seeds
from ambidex.report.study.bias import biases
from ambidex.report.study.cells import read_reports
from helpers.reports import write_evaluation
from helpers.runs import small_params

CLASSES = ("red", "green", "blue")
SAMPLES = 240
LABELS = torch.arange(SAMPLES) % len(CLASSES)
ONE_HOT = torch.nn.functional.one_hot(LABELS, len(CLASSES)).float()


def said(right: torch.Tensor) -> torch.Tensor:
    """Logits [N, C] that are right where `right` is."""
    return 5 * torch.where(right[:, None], ONE_HOT, ONE_HOT.roll(1, dims=1))


def every(n: int, offset: int = 0) -> torch.Tensor:
    """Right on all but each n-th sample of a class, the same in every class."""
    return (torch.arange(SAMPLES) // len(CLASSES) + offset) % n != 0


def write(folder, method, regime, seed, loud, right, noise=0.0, wrongly=None):
    """A model whose modalities add `loud` to the true class, and whose probes are right on `right`."""
    draws = torch.Generator().manual_seed(seed)
    parts = {
        m: ONE_HOT * (strength + noise * torch.randn(SAMPLES, 1, generator=draws))
        for m, strength in loud.items()
    }
    return write_evaluation(
        folder / f"{method}-{regime}-{seed}",
        (method, regime, seed),
        LABELS,
        CLASSES,
        {"allocator": {"uniform": sum(parts.values())}, "probe": {m: said(r) for m, r in right.items()}},
        contributions=parts,
        diagnosis={"logits": {m: {"override": {"unjustified": v}} for m, v in (wrongly or {}).items()}},
        modalities=list(loud),
    )


def judge(folder, methods, regimes=("scratch",), seeds=(0,), **compare):
    study = {"methods": list(methods), "regimes": list(regimes), "seeds": list(seeds)}
    params = small_params(study=study, compare={"resamples": 2000, **compare})
    return {(b.method, b.regime): b for b in biases(read_reports(folder, params.study), params)}


def test_bias_is_share_less_capability_by_hand(tmp_path):
    # left adds 3 of 4 to the true class; it recognises 3 of 4 samples, right 1 of 2: capability 0.6 and 0.4
    write(tmp_path, "joint", "scratch", 0, {"left": 3.0, "right": 1.0}, {"left": every(4), "right": every(2)},
          wrongly={"left": 0.5, "right": None})  # fmt: skip
    found = judge(tmp_path, ["joint"])["joint", "scratch"]
    assert (found.leading, found.answer) == ("left", "yes")
    assert found.by_modality["left"]["value"] == pytest.approx(0.75 - 0.6)
    assert found.by_modality["right"]["value"] == pytest.approx(0.25 - 0.4)
    assert found.imbalance["value"] == pytest.approx(0.15)
    assert found.follows_wrongly == {"left": 0.5, "right": None}
    assert found.points[0] == pytest.approx(
        {"modality": "left", "class": "red", "share": 0.75, "capability": 0.6}
    )
    assert found.imbalance_change == {}  # nothing to compare it with


def test_the_quiet_modality_may_lead_and_balance_is_no_bias(tmp_path):
    """Leading is who decides more than it can, not who is loudest."""
    write(tmp_path, "joint", "scratch", 0, {"left": 1.0, "right": 1.0}, {"left": every(8), "right": every(2)})
    write(
        tmp_path,
        "ogm_ge",
        "scratch",
        0,
        {"left": 3.0, "right": 3.0},
        {"left": every(4), "right": every(4, 1)},
    )
    found = judge(tmp_path, ["joint", "ogm_ge"])
    assert found["joint", "scratch"].leading == "right"
    assert found["joint", "scratch"].by_modality["right"]["value"] == pytest.approx(0.5 - 0.5 / 1.375)
    assert found["joint", "scratch"].answer == "yes"
    assert found["ogm_ge", "scratch"].answer == "no"
    change = found["ogm_ge", "scratch"].imbalance_change["reference"]
    assert change["value"] == pytest.approx(-(0.5 - 0.5 / 1.375))
    assert change["high"] < 0


def test_wild_contributions_leave_it_undecided(tmp_path):
    for seed in (0, 1):
        write(tmp_path, "joint", "scratch", seed, {"left": 1.2, "right": 1.0},
              {"left": every(4), "right": every(4, 1)}, noise=3.0)  # fmt: skip
    found = judge(tmp_path, ["joint"], seeds=(0, 1))["joint", "scratch"]
    low, high = (found.by_modality[found.leading][end] for end in ("low", "high"))
    assert low < 0 < high
    assert found.answer == "undecided"


def test_intervals_agree_with_independent_resampling(tmp_path):
    """NumPy: samples drawn by class totals, seeds drawn one fewer than there are."""
    right = {"left": every(4), "right": every(3)}
    for seed in (0, 1, 2):
        write(tmp_path, "joint", "scratch", seed, {"left": 2.0 + 0.3 * seed, "right": 1.0}, right, noise=0.8)
    found = judge(tmp_path, ["joint"], seeds=(0, 1, 2))["joint", "scratch"]
    study = small_params(study={"methods": ["joint"], "regimes": ["scratch"], "seeds": [0, 1, 2]}).study
    z = [
        np.stack([c.gather(1, LABELS[:, None])[:, 0].numpy() for c in report.contributions().values()])
        for report in read_reports(tmp_path, study).found.values()
    ]
    hits, labels = np.stack([r.numpy() for r in right.values()]).astype(float), LABELS.numpy()
    draws, rng = [], np.random.default_rng(3)
    for _ in range(1500):
        chosen = rng.integers(SAMPLES, size=SAMPLES)
        values = []
        for seed in rng.integers(3, size=2):
            lean = []
            for c in range(3):
                own = chosen[labels[chosen] == c]
                share, can = z[seed][:, own].sum(1), hits[:, own].sum(1)
                lean.append(share[0] / share.sum() - can[0] / can.sum())
            values.append(np.mean(lean))
        draws.append(np.mean(values))
    ours = found.by_modality["left"]
    assert [ours["low"], ours["high"]] == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.006)


def test_the_imbalance_has_the_reflected_interval(tmp_path):
    """DI is a mean of absolute values: noise lifts it, and its resamples twice; 2 e - q, against NumPy's resampling.

    In truth it is 1 / 60: the shares are equal, the recalls 5 / 8 to 7 / 12.
    """
    right = {"left": every(4), "right": every(3)}
    for method, noise in (("joint", 1.0), ("ogm_ge", 3.0)):
        write(tmp_path, method, "scratch", 0, {"left": 2.0, "right": 2.0}, right, noise=noise)
    found = judge(tmp_path, ["joint", "ogm_ge"], resamples=4000)
    study = small_params(study={"methods": ["joint", "ogm_ge"], "regimes": ["scratch"], "seeds": [0]}).study
    reports = read_reports(tmp_path, study).found
    hits, labels = np.stack([r.numpy() for r in right.values()]).astype(float), LABELS.numpy()
    z = {
        cell[0]: np.stack([c.gather(1, LABELS[:, None])[:, 0].numpy() for c in r.contributions().values()])
        for cell, r in reports.items()
    }

    def imbalance(method, rows):
        by_class = []
        for c in range(3):
            own = rows[labels[rows] == c]
            share, can = z[method][:, own].sum(1), hits[:, own].sum(1)
            by_class.append(np.abs(share / share.sum() - can / can.sum()).mean())
        return np.mean(by_class)

    rng, everyone = np.random.default_rng(3), np.arange(SAMPLES)
    chosen = [rng.integers(SAMPLES, size=SAMPLES) for _ in range(2000)]
    draws = {method: np.array([imbalance(method, rows) for rows in chosen]) for method in z}
    point = {method: imbalance(method, everyone) for method in z}
    for method, tolerance in (("joint", 0.003), ("ogm_ge", 0.012)):
        low, high = 2 * point[method] - np.quantile(draws[method], [0.975, 0.025])
        ours = found[method, "scratch"].imbalance
        assert ours["value"] == pytest.approx(point[method])
        assert ours["low"] == pytest.approx(max(0.0, low), abs=tolerance)
        assert ours["high"] == pytest.approx(max(high, point[method]), abs=tolerance)
    change, both = found["ogm_ge", "scratch"].imbalance_change["reference"], draws["ogm_ge"] - draws["joint"]
    expected = 2 * (point["ogm_ge"] - point["joint"]) - np.quantile(both, [0.975, 0.025])
    assert expected[0] < 0  # a change may be negative: nothing is cut off there
    assert [change["low"], change["high"]] == pytest.approx(expected, abs=0.012)


@pytest.mark.parametrize("values", [(0.1, 0.3), (0.0, 0.1, 0.5), (1.0, 2.0, 4.0, 4.0, 9.0)])
def test_resampled_seeds_have_the_variance_of_their_mean(values):
    drawn = [torch.full((20_001, 1), v, dtype=torch.float64) for v in values]
    point, draws = over_seeds(drawn, seed=0)
    assert point.item() == pytest.approx(np.mean(values))
    assert draws.var().item() == pytest.approx(np.var(values, ddof=1) / len(values), rel=0.06)


def test_one_seed_keeps_its_own_resamples():
    drawn = torch.arange(6, dtype=torch.float64)[:, None]
    point, draws = over_seeds([drawn], seed=0)
    assert (point.tolist(), draws[:, 0].tolist()) == ([0.0], [1.0, 2.0, 3.0, 4.0, 5.0])


@pytest.mark.parametrize(
    ("ends", "wanted"),
    [
        ((0.01, 0.2), "yes"),
        ((-0.01, 0.2), "undecided"),
        ((0.01, MARGIN), "no"),  # clear, and too small to be worth the name
        ((-0.02, 0.04), "no"),
        ((None, None), "undecided"),
    ],
)
def test_answers(ends, wanted):
    low, high = ends
    mirrored = (None, None) if low is None else (-high, -low)
    found = {
        "left": {"value": 0.1, "low": low, "high": high},
        "right": {"value": -0.1, "low": mirrored[0], "high": mirrored[1]},
    }
    assert answer(found, "left") == wanted


def test_all_intervals_hold_together():
    assert level_of_one(2) == pytest.approx(0.95)  # two modalities mirror each other
    assert level_of_one(3) == pytest.approx(1 - 0.05 / 3)
    assert level_of_one(2, classes=10) == pytest.approx(0.995)
    assert level_of_one(3, classes=10) == pytest.approx(1 - 0.05 / 30)


def test_biases_that_cancel_over_classes_are_counted(tmp_path):
    """Left decides all of red, right all of blue, both share green: no lean in the mean, two uneven classes."""
    by_class = {"left": torch.tensor([3.0, 1.0, 0.0]), "right": torch.tensor([0.0, 1.0, 3.0])}
    draws = torch.Generator().manual_seed(0)
    parts = {m: ONE_HOT * (z + 0.05 * torch.randn(SAMPLES, 1, generator=draws)) for m, z in by_class.items()}
    known = {m: said(every(4)) for m in parts}
    write_evaluation(
        tmp_path / "a",
        ("joint", "scratch", 0),
        LABELS,
        CLASSES,
        {"allocator": {"uniform": parts["left"] + parts["right"]}, "probe": known},
        contributions=parts,
    )
    found = judge(tmp_path, ["joint"])["joint", "scratch"]
    assert found.answer == "no"
    assert found.classes == ["red", "blue"]
    assert found.imbalance["value"] == pytest.approx(1 / 3, abs=0.02)


def test_reports_without_contributions_or_probes_are_left_out(tmp_path):
    write_evaluation(
        tmp_path / "a", ("joint", "scratch", 0), LABELS, CLASSES, {"allocator": {"uniform": ONE_HOT}}
    )
    assert judge(tmp_path, ["joint"]) == {}
