"""Multi-task: its terms against cross-entropies computed from the weights by hand."""

import csv

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from ambidex.base.errors import ModelError
from ambidex.learn.methods.multi_task import MultiTask
from ambidex.net.additions.own_heads import OwnHeads
from helpers.memory_store import engine


def _cross_entropy(logits, labels):
    logits = logits.detach().double().numpy()
    log_z = np.log(np.exp(logits).sum(1))
    return float(np.mean(log_z - logits[np.arange(len(labels)), labels.numpy()]))


@pytest.mark.parametrize("heads", ["split", "own"])
def test_terms_are_one_cross_entropy_per_modality(tmp_path, heads):
    trained = engine(tmp_path, "multi_task", {"heads": heads, "weight": 0.5})
    checked = []
    original = trained.method.objective

    def spy(step):
        terms = original(step)
        model, h = trained.model, step.features
        if heads == "own":
            own = model.addition(OwnHeads).heads
            alone = {m: h[m] @ own[m].weight.T + own[m].bias for m in h}
        else:
            blocks = dict(zip(h, model.fusion.linear.weight.split(8, dim=1), strict=True))
            alone = {m: h[m] @ blocks[m].T + model.fusion.linear.bias / 2 for m in h}
        for m, logits in alone.items():
            assert terms[m].item() == pytest.approx(0.5 * _cross_entropy(logits, step.labels), rel=1e-5)
        assert terms["task"].item() == pytest.approx(_cross_entropy(step.logits, step.labels), rel=1e-5)
        assert set(terms) == {"task", "audio", "visual"}
        checked.append(True)
        return terms

    trained.method.objective = spy
    trained.fit()
    assert len(checked) == 3


def test_own_heads_do_not_feel_the_fused_loss(tmp_path):
    trained = engine(tmp_path, "multi_task", {"heads": "own"})
    original = trained.method.objective

    def spy(step):
        terms = original(step)
        own = trained.model.addition(OwnHeads).heads
        heads = list(own.parameters())
        assert all(
            g is None for g in torch.autograd.grad(terms["task"], heads, retain_graph=True, allow_unused=True)
        )
        head = list(own["audio"].parameters())
        other = torch.autograd.grad(terms["visual"], head, retain_graph=True, allow_unused=True)
        assert all(g is None for g in other)
        return terms

    trained.method.objective = spy
    trained.fit()


def test_split_heads_on_a_fusion_that_cannot_be_split_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"multi_task.*'gated'.*heads: own"):
        engine(tmp_path / "a", "multi_task", fusion="gated").fit()
    engine(tmp_path / "b", "multi_task", {"heads": "own"}, fusion="gated").fit()


def test_bad_options_are_refused():
    with pytest.raises(ValidationError):
        MultiTask.Config(heads="both")
    with pytest.raises(ValidationError):
        MultiTask.Config(weight=-1)


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_own_heads_train_in_every_precision(tmp_path, precision):
    """What each of them says is counted too, in training and in validation."""
    trained = engine(tmp_path, "multi_task", {"heads": "own"}, precision=precision)
    trained.fit()
    (row,) = csv.DictReader((tmp_path / "history.csv").open())
    for split in ("train", "val"):
        assert {f"{split}/accuracy/{name}" for name in ("fused", "audio", "visual")} <= row.keys()
