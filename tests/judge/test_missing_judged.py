"""What is measured where samples lack modalities: on those that have them, and nothing where nobody has."""

import pytest
import torch
from torch import Tensor

from ambidex.base.errors import DataError
from ambidex.base.statistics import accuracy
from ambidex.judge.diagnose import DIAGNOSTICS
from ambidex.judge.evaluation import Evaluation, collect
from ambidex.judge.probes import fit_own_probe, fit_probes
from ambidex.net.contributions.coalitions import absent_features
from ambidex.net.encoded import Encoded, EncodedFeatures
from ambidex.stages._checks import check_presence
from ambidex.testing import diagnostics
from helpers.missing import net, store_of


def features_of(count: int, here: Tensor, seed: int = 0) -> EncodedFeatures:
    """One modality: features [N, 4] of those that have it, and 1e3 in place of the others."""
    h = (
        torch.randn(count, 4, generator=torch.Generator().manual_seed(seed))
        + torch.arange(count)[:, None] % 3
    )
    return EncodedFeatures({"audio": Encoded(torch.where(here[:, None], h, 1e3), present=here)})


def test_the_usual_feature_is_the_mean_over_those_that_have_the_modality():
    here = torch.arange(12) % 3 != 1
    train = features_of(12, here)
    (mean,) = absent_features({"train": train}, train, "mean").values()
    torch.testing.assert_close(mean[0], train["audio"][here].mean(0))


def test_a_borrowed_feature_is_one_that_another_sample_has():
    here = torch.arange(12) % 3 != 1
    features = features_of(12, here)
    (borrowed,) = absent_features({}, features, "permuted").values()
    own = features["audio"][here]
    assert not torch.equal(borrowed[here], own)
    assert torch.equal(borrowed[here].sort(0).values, own.sort(0).values)


def test_validation_without_a_modality_chooses_no_strength():
    labels = {name: torch.arange(n) % 3 for name, n in (("train", 60), ("val", 12), ("test", 12))}
    everyone = torch.ones(60, dtype=torch.bool)
    train, test = features_of(60, everyone), features_of(12, everyone[:12], 1)
    nobody = features_of(12, ~everyone[:12])
    found = fit_own_probe({"train": train, "val": nobody, "test": test}, "audio", labels, 3)
    del labels["val"]
    expected = fit_own_probe({"train": train, "test": test}, "audio", labels, 3)
    assert found.strength == expected.strength
    assert torch.equal(found.logits["test"], expected.logits["test"])
    assert not found.logits["val"].any()


def test_probes_and_parts_are_compared_on_the_samples_that_have_the_modality():
    evaluation = diagnostics.evaluated(("audio", "visual", "touch"), fill="zero")
    test, found = evaluation.test, DIAGNOSTICS.get("probes")().run(evaluation).metrics
    for m in evaluation.modalities:
        here = test.present[m]
        probe = accuracy(fit_probes(evaluation).own[m].logits["test"][here], test.labels[here])
        part = accuracy(test.contributions[m][here], test.labels[here])
        assert found["probes"][m]["accuracy"] == pytest.approx(probe)
        assert found["head_slice_gap"][m]["difference"] == pytest.approx(probe - part)
    best = found["best_alone"]
    here = test.present[best["modality"]]
    whole = accuracy(test.logits[here], test.labels[here])
    assert best["difference"] == pytest.approx(found["probes"][best["modality"]]["accuracy"] - whole)


def without(split: str) -> Evaluation:
    """An evaluation where nobody in `split` has audio."""
    store, model = store_of(), net().eval()
    store.present["audio"][store.rows(split)] = False
    splits = ("train", "val", "test")
    seen = collect(model, store, splits, 16, torch.device("cpu"))
    whole = diagnostics.evaluated()
    return Evaluation(whole.params, model, store.classes, model.modalities, seen)


@pytest.mark.parametrize("name", DIAGNOSTICS.own())
def test_a_validation_split_where_nobody_has_a_modality_is_measured_all_the_same(name: str):
    kind = DIAGNOSTICS.get(name)
    found = diagnostics.measured(kind, without("val"), {}, name)
    diagnostics.writable(found, name)
    if name == "performance":
        assert {*found.metrics["val"]} == {"fused", "visual", "touch"}
        assert {*found.metrics["test"]} == {"fused", "audio", "visual", "touch"}


def test_a_test_split_where_nobody_has_a_modality_is_refused():
    store = store_of()
    store.path = "features"
    check_presence(store, ("audio", "visual"))
    store.present["audio"][store.rows("test")] = False
    with pytest.raises(
        DataError, match=r"^features: no sample of split 'test' has audio, so that nothing can be"
    ):
        check_presence(store, ("audio", "visual"))
