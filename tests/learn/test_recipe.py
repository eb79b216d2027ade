"""What the recipe adds to the loop: NLL by group, smoothed labels, temperature, and the line at the end; by hand."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from ambidex.learn.loop.by_group import group_weights
from ambidex.learn.loop.remarks import never_warm, remark, smoothed_entropy
from ambidex.learn.loop.selection import candidate
from ambidex.learn.loop.temperature import temperature
from helpers.memory_store import engine


def test_weights_by_hand():
    assert group_weights(["a", "a", "a", "b"]).tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2])
    assert group_weights(["a", "b", "b", "a"]) is None  # alike already
    assert group_weights(["", ""]) is None
    assert group_weights([]) is None


def test_validation_by_group_is_the_mean_of_the_groups_means(tmp_path):
    trained = engine(tmp_path, epochs=2, selection="val_nll")
    store = trained.batches.store
    rows = store.rows("val").tolist()
    names = ["big" if i < 9 else f"small{i}" for i in range(len(rows))]
    for row, name in zip(rows, names, strict=True):
        store.groups[row] = name
    selected = trained.fit()
    model = trained.model
    labels = store.labels[store.rows("val")]
    with torch.no_grad():
        inputs = {m: store.gather(m, store.rows("val")) for m in model.modalities}
        each = F.cross_entropy(model.fuse(model.encode(inputs, {}))[0], labels, reduction="none").numpy()
    means = [each[[n == name for n in names]].mean() for name in sorted(set(names))]
    kept = trained.state.history[selected["epoch"]]
    assert kept["val/nll"] == pytest.approx(each.mean(), rel=1e-5)
    assert kept["val/group_nll"] == pytest.approx(np.mean(means), rel=1e-5)
    assert selected["nll"] == kept["val/nll"]  # what is reported is the mean over samples


def test_the_epoch_is_chosen_by_group():
    values = {"val/accuracy/fused": 0.5, "val/nll": 2.0, "val/group_nll": 1.0}
    assert candidate("val_nll", values, 3)["score"] == -1.0
    assert candidate("val_nll", {k: v for k, v in values.items() if "group" not in k}, 3)["score"] == -2.0
    assert candidate("val_accuracy", values, 3)["score"] == 0.5


def test_smoothed_labels_by_hand(tmp_path):
    """With batches as large as the split, the first loss is that of the untrained model."""
    losses = {}
    for smoothing in (0.0, 0.3):
        trained = engine(tmp_path / str(smoothing), "multi_task", batch_size=24, label_smoothing=smoothing)
        seen, original = {}, trained.method.objective

        def objective(step, seen=seen, original=original):
            terms = original(step)
            seen |= {"logits": step.logits.detach(), "labels": step.labels, "branches": step.branches()}
            losses[smoothing] = {name: value.item() for name, value in terms.items()}  # noqa: B023
            return terms

        trained.method.objective = objective
        trained.fit()
    logits = seen["logits"].double().numpy()
    logs = logits - logsumexp(logits, axis=1, keepdims=True)
    plain = -logs[np.arange(24), seen["labels"].numpy()].mean()
    assert losses[0.0]["task"] == pytest.approx(plain, rel=1e-5)
    assert losses[0.3]["task"] == pytest.approx(0.7 * plain - 0.3 * logs.mean(), rel=1e-5)
    for name in set(losses[0.0]) - {"task"}:
        assert losses[0.3][name] != losses[0.0][name]


@pytest.mark.parametrize("scale", [0.3, 1.0, 6.0])
def test_temperature_is_the_one_that_scipy_finds(scale):
    draws = np.random.default_rng(0)
    labels = draws.integers(0, 4, 300)
    logits = scale * (1.5 * np.eye(4)[labels] + draws.standard_normal((300, 4)))
    groups = ["a"] * 200 + ["b"] * 60 + ["c"] * 40

    def loss(t):
        logs = logits / t - logsumexp(logits / t, axis=1, keepdims=True)
        each = -logs[np.arange(300), labels]
        return np.mean([each[:200].mean(), each[200:260].mean(), each[260:].mean()]) + np.log(t) ** 2 / 600

    expected = minimize_scalar(loss, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-9}).x
    found = temperature(torch.from_numpy(logits), torch.from_numpy(labels), groups)
    assert found == pytest.approx(expected, rel=1e-3)


def test_temperature_stays_where_validation_says_nothing_and_is_bounded():
    labels = torch.arange(4)
    assert 0.8 < temperature(torch.eye(4) * 9, labels, ["a"] * 4) < 1  # all right: as sure as before
    assert temperature(-torch.eye(4) * 900, labels, ["a"] * 4) == pytest.approx(20, rel=1e-2)


def _history(losses, scores):
    return [{"train/loss/task": a, "val/nll": b} for a, b in zip(losses, scores, strict=True)]


def test_a_first_epoch_without_loss_is_saturated():
    flat = [0.2] * 3
    assert remark(_history([0.01, 0, 0], flat), 8, 0.0).startswith("training was saturated")
    assert remark(_history([0.12, 0, 0], flat), 8, 0.0) is None  # a guess has 2.08, of which 5 % are 0.104
    assert remark(_history([0.12, 0, 0], flat), 100, 0.0).startswith("training was saturated")  # ... 0.23
    least = smoothed_entropy(8, 0.1)
    assert least == pytest.approx(-0.9125 * math.log(0.9125) - 7 * 0.0125 * math.log(0.0125))
    assert remark(_history([least + 0.01, 1, 1], flat), 8, 0.1).startswith("training was saturated")
    assert remark(_history([least + 0.12, 1, 1], flat), 8, 0.1) is None


def test_a_validation_loss_that_still_falls_is_cut_short():
    losses = [1.0] * 10
    falling = [2 - 0.1 * i for i in range(10)]
    line = remark(_history(losses, falling), 8, 0.0)
    assert line.startswith("training was cut short")
    assert "by 0.200 in the last 2 of 10;" in line
    assert "by 4.3e+21 in the last 1 of 3;" in remark(_history([1.0] * 3, [9e21, 4.3e21, 0.5]), 8, 0.0)
    assert remark(_history(losses, [*falling[:8], 1.29, 1.28]), 8, 0.0) is None  # by 0.02, of 2.08
    assert remark(_history(losses, [*falling[:9], 1.5]), 8, 0.0) is None  # it rose at the end
    assert remark([{"train/loss/task": 1.0}] * 3, 8, 0.0) is None  # no validation
    assert remark([], 8, 0.0) is None


def test_a_warm_up_that_is_longer_than_the_training_is_a_line():
    line = never_warm(299, 1_500)
    assert line.startswith(
        "training ended within its warm-up, after 299 of 1,500 steps: the learning rate never"
    )
    assert never_warm(300, 300) is None  # the last step had the whole rate
    assert never_warm(5, 0) is None
