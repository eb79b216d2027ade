"""A model saved with its decision layer says what the evaluation said, through the whole forward pass."""

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ambidex.base.errors import ModelError
from ambidex.base.files import write_json
from ambidex.base.readers import read_json
from ambidex.configuration.params import Evaluate
from ambidex.data.manifest import SPLITS
from ambidex.decide.allocators import ALLOCATORS
from ambidex.decide.fitting import Allocation, fit_allocators, sources
from ambidex.decide.layer import DecisionSpec
from ambidex.decide.repaired import Repaired, load_saved, save_repaired
from ambidex.decide.repairing import repaired_model
from ambidex.judge.evaluation import Evaluation, collect
from ambidex.judge.held_out import stack
from ambidex.judge.probes import fit_probes
from ambidex.net.fusion import FUSIONS
from ambidex.net.model import MultimodalNet, load_model, save_model
from helpers.memory_store import MemoryStore, architecture

STORE = MemoryStore(("touch", "audio"), {"train": 36, "val": 24, "test": 12})
FAST = (("concat", True), ("film", False))
"""a head whose parts are exact and one whose are not; the others in the full run of the tests"""
CELLS = [
    pytest.param(*cell, marks=[] if cell in FAST else [pytest.mark.slow])
    for cell in [*((fusion, False) for fusion in FUSIONS.names()), ("concat", True), ("gated", True)]
]


def evaluate(fusion: str, heads: bool = False, absent: str = "mean") -> Evaluation:
    """An untrained model on samples in memory: whatever an allocator is fitted on, it must say the same later."""
    torch.manual_seed(0)
    plain = architecture(("touch", "audio"), fusion)
    model = MultimodalNet(plain.adding("own_heads") if heads else plain).eval()
    params = Evaluate(resamples=100, folds=2, absent=absent)
    seen = collect(model, STORE, SPLITS, 7, torch.device("cpu"), absent)
    return Evaluation(params, model, model.architecture.classes, model.modalities, seen)


def stored(split: str = "test") -> dict[str, Tensor]:
    return {name: STORE.gather(name, STORE.rows(split)) for name in STORE.modalities}


def saved(model: Repaired, folder: Path) -> Repaired:
    save_repaired(model, folder)
    loaded = load_saved(folder)
    assert isinstance(loaded, Repaired)
    return loaded


@torch.no_grad()
def assert_says(model: Repaired, logits: Tensor, split: str = "test") -> None:
    """The probabilities of the whole forward pass are those of `logits`, and the parts add up to them."""
    expected = logits.double().softmax(1)
    features = model.encode(stored(split))
    found, parts = model.fuse(features)
    torch.testing.assert_close(model(stored(split)).double().softmax(1), expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(found.double().softmax(1), expected, atol=1e-6, rtol=0)
    assert list(parts) == ["touch", "audio"]
    for name, part in model.contributions(features).items():
        assert torch.equal(part, parts[name])
    total = torch.stack(list(parts.values())).sum(0)
    torch.testing.assert_close(total.double().softmax(1), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("fusion", "heads"), CELLS)
def test_every_allocator_predicts_what_was_reported_once_saved(tmp_path: Path, fusion: str, heads: bool):
    evaluation = evaluate(fusion, heads)
    allocations = fit_allocators(evaluation, ALLOCATORS.names())
    fitted = [allocation for allocation in allocations if not allocation.refusal]
    assert {"uniform", "modality", "category"} <= {allocation.name for allocation in fitted}
    for allocation in fitted:
        model = saved(repaired_model(evaluation, allocation), tmp_path / allocation.name)
        assert (model.layer.spec.allocator == allocation.name) == (allocation.name != "auto")  # what it chose
        for split in ("val", "test"):
            assert_says(model, allocation.logits[split], split)
        features = model.encode(stored())
        assert torch.equal(model.net.fuse(features)[0], evaluation.model.fuse(features)[0])


@torch.no_grad()
@pytest.mark.parametrize(
    ("source", "name"), [("own_heads", "modality"), ("probes", "modality"), ("both", "pooled")]
)
@pytest.mark.parametrize("fusion", ["concat", "film"])
def test_whatever_an_allocator_weighs_is_in_the_saved_model(
    tmp_path: Path, fusion: str, source: str, name: str
):
    evaluation = evaluate(fusion, heads=True)
    val, test = (weighed(evaluation, split, source) for split in ("val", "test"))
    kind = ALLOCATORS.get(name)
    allocator = kind.fit(kind.Config(), val, evaluation.val.labels, evaluation.val.groups)
    allocation = Allocation(name, source=source, allocator=allocator, temperature=1.5)
    model = saved(repaired_model(evaluation, allocation), tmp_path)
    assert_says(model, allocator(test) / 1.5)
    names = [name for name in load_file(tmp_path / "model.safetensors") if name.startswith("decision.")]
    assert any(name.startswith("decision.probes.") for name in names) == (source != "own_heads")
    assert any("absent" in name for name in names) == (source == "both" and fusion == "film")


def test_a_layer_of_before_has_no_last_temperature() -> None:
    before = {"allocator": "modality", "options": {}, "source": "contributions", "absent": None}
    assert DecisionSpec.from_json(before).temperature == 1.0
    assert DecisionSpec.from_json({**before, "temperature": 1.4}).to_json()["temperature"] == 1.4


def weighed(evaluation: Evaluation, split: str, source: str) -> Tensor:
    outputs = evaluation.splits[split]
    if source == "own_heads":
        return torch.stack(list(outputs.branches.values()), dim=1)
    said = torch.stack([p.logits[split] for p in fit_probes(evaluation).own.values()], dim=1)
    return said if source == "probes" else torch.cat([outputs.stacked(), said.float()], dim=1)


@torch.no_grad()
def test_probes_far_from_the_origin_keep_their_digits(tmp_path: Path):
    evaluation = evaluate("concat")
    for outputs in evaluation.splits.values():
        for name, feature in outputs.features.items():
            outputs.features[name] = feature + 1000
    val = weighed(evaluation, "val", "probes")
    kind = ALLOCATORS.get("uniform")
    allocator = kind.fit(kind.Config(), val, evaluation.val.labels, evaluation.val.groups)
    model = repaired_model(evaluation, Allocation("uniform", source="probes", allocator=allocator))
    found, _ = model.fuse(evaluation.test.features)
    expected = weighed(evaluation, "test", "probes").sum(dim=1)
    torch.testing.assert_close(found.double(), expected, atol=1e-4, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("rule", ["mean", "zero"])
def test_the_feature_of_an_absent_modality_is_that_of_the_evaluation(tmp_path: Path, rule: str):
    evaluation = evaluate("gated", absent=rule)
    (allocation,) = fit_allocators(evaluation, ["uniform"])
    model = saved(repaired_model(evaluation, allocation), tmp_path)
    train = evaluation.train.features
    expected = {m: torch.zeros(1, 8) if rule == "zero" else h.mean(0, keepdim=True) for m, h in train.items()}
    for name, feature in model.layer.background().items():
        torch.testing.assert_close(feature, expected[name])
    one = {name: h[:1] for name, h in evaluation.test.features.items()}  # one sample alone: the same parts
    _, parts = model.fuse(one)
    for name, part in parts.items():
        torch.testing.assert_close(part, evaluation.test.contributions[name][:1], atol=1e-6, rtol=1e-5)


def test_a_rule_that_borrows_from_other_samples_cannot_be_saved():
    evaluation = evaluate("film", absent="permuted")
    (allocation,) = fit_allocators(evaluation, ["uniform"])
    with pytest.raises(ModelError, match=r"got evaluate\.absent: permuted, expected mean or zero") as error:
        repaired_model(evaluation, allocation)
    assert "\n" not in str(error.value)
    exact = evaluate("concat", absent="permuted")  # exact contributions need no absent feature
    assert repaired_model(exact, fit_allocators(exact, ["uniform"])[0]).layer.spec.absent is None


def test_a_refused_allocator_cannot_be_saved():
    with pytest.raises(ModelError, match="allocator 'temperature' was refused: too weak"):
        repaired_model(evaluate("concat"), Allocation("temperature", refusal="too weak"))


@torch.no_grad()
def test_a_decision_layer_is_replaced_not_stacked(tmp_path: Path):
    evaluation = evaluate("concat")
    uniform, ensemble = fit_allocators(evaluation, ["uniform", "ensemble"])  # the second holds probes
    saved(repaired_model(evaluation, ensemble), tmp_path / "first")
    first = load_model(tmp_path / "first")
    seen = collect(first, STORE, SPLITS, 7, torch.device("cpu"))
    torch.testing.assert_close(
        seen["test"].logits, evaluation.test.logits
    )  # the trained head is what is judged
    again = dataclasses.replace(evaluation, model=first, splits=seen)
    second = saved(repaired_model(again, uniform), tmp_path / "second")
    assert_says(second, uniform.logits["test"])


@torch.no_grad()
def test_without_a_decision_layer_the_head_decides(tmp_path: Path):
    plain, other = evaluate("concat"), evaluate("film")
    save_model(plain.model, tmp_path)
    loaded = load_saved(tmp_path)
    assert isinstance(loaded, MultimodalNet)
    logits, parts = loaded.fuse(plain.test.features)
    torch.testing.assert_close(logits, plain.test.logits)
    assert parts is not None
    torch.testing.assert_close(torch.stack(list(parts.values()), dim=1), plain.test.stacked())
    assert other.model.fuse(other.test.features)[1] is None


@torch.no_grad()
def test_a_model_written_before_there_were_decision_layers_loads(tmp_path: Path):
    model = evaluate("concat").model
    save_model(model, tmp_path)
    described = read_json(tmp_path / "model.json")
    del described["architecture"]["decision"]
    write_json(tmp_path / "model.json", described)
    loaded = load_saved(tmp_path)
    assert isinstance(loaded, MultimodalNet)
    assert torch.equal(loaded(stored()), model(stored()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"allocator": "modalty"}, "did you mean 'modality'"),
        ({"options": {"shrinkage": -1}}, "shrinkage"),
        ({"source": "head"}, "decision.source: got 'head', expected contributions"),
        ({"source": "own_heads"}, "weighs own heads, and the model has none"),
        ({"source": "probes"}, r"tensor 'decision\.probes\.touch\.centre' is missing"),
        ({"allocator": None}, "decision.allocator: got nothing, expected text"),
        ("modality", "architecture.decision: got 'modality', expected a block"),
    ],
)
def test_a_damaged_decision_layer_is_refused_in_one_line(tmp_path: Path, change: object, message: str):
    evaluation = evaluate("concat")
    save_repaired(repaired_model(evaluation, fit_allocators(evaluation, ["modality"])[0]), tmp_path)
    described = read_json(tmp_path / "model.json")
    spec = described["architecture"]["decision"]
    described["architecture"]["decision"] = spec | change if isinstance(change, dict) else change
    write_json(tmp_path / "model.json", described)
    with pytest.raises(ModelError, match=message) as error:
        load_saved(tmp_path)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(str(tmp_path))


@torch.no_grad()
def test_what_adapting_needs_is_saved_and_older_models_do_without(tmp_path: Path) -> None:
    evaluation = evaluate("concat")
    (allocation,) = fit_allocators(evaluation, ["modality"])
    model = repaired_model(evaluation, allocation)
    loaded = saved(model, tmp_path)
    features = evaluation.test.features
    before, after = model.layer.adapt(features), loaded.layer.adapt(features)
    assert torch.equal(before.factor, after.factor)
    assert before.lapse.tolist() == after.lapse.tolist()
    assert loaded.layer.adaptation is not None
    assert (loaded.layer.adaptation.lapse[:, 0] > 0).all()
    loaded.layer.adaptation.shares.neg_()
    with pytest.raises(ModelError, match=r"decision.adaptation.shares: expected .* evaluate --save"):
        loaded.layer.adapt(features)
    file = read_json(tmp_path / "model.json")
    file["architecture"]["decision"].pop("adaptation")
    weights = load_file(tmp_path / "model.safetensors")
    old = tmp_path / "old"
    old.mkdir()
    write_json(old / "model.json", file)
    save_file(
        {name: w for name, w in weights.items() if "decision.adaptation" not in name},
        old / "model.safetensors",
    )
    older = load_saved(old)
    assert isinstance(older, Repaired)
    assert torch.equal(older.fuse(features)[0], loaded.fuse(features)[0])
    with pytest.raises(ModelError, match="evaluate --save"):
        older.layer.adapt(features)
    file["architecture"]["decision"]["adaptation"] = 2
    write_json(old / "model.json", file)
    with pytest.raises(ModelError, match="got version 2, this ambidex reads version 1"):
        load_saved(old)


@torch.no_grad()
def test_an_adapted_decision_is_the_fitted_one_with_its_parts_multiplied() -> None:
    evaluation = evaluate("concat")
    (allocation,) = fit_allocators(evaluation, ["modality"])
    model, features = repaired_model(evaluation, allocation), evaluation.test.features
    adaptation = model.layer.adapt(features)
    ill = dataclasses.replace(adaptation, factor=torch.tensor([0.25, 1.0]), refusal=None)
    logits, parts = model.fuse_adapted(features, ill)
    plain = model.fuse(features)[1]
    torch.testing.assert_close(parts["touch"], 0.25 * plain["touch"])
    torch.testing.assert_close(logits, 0.25 * plain["touch"] + plain["audio"])
    well = dataclasses.replace(ill, refusal="nothing to see")
    assert torch.equal(model.fuse_adapted(features, well)[0], model.fuse(features)[0])


@torch.no_grad()
@pytest.mark.parametrize("fusion", ["concat", "film"])
def test_typicality_is_saved_and_weighs_as_it_was_evaluated(tmp_path: Path, fusion: str) -> None:
    evaluation = evaluate(fusion)
    (allocation,) = fit_allocators(evaluation, ["typicality"])
    assert allocation.allocator is not None
    allocation.allocator.beta.fill_(0.8)  # so that features matter
    expected = allocation.allocator(stack(sources(evaluation, "test"), "typicality"))
    model = saved(repaired_model(evaluation, allocation), tmp_path)
    assert_says(model, expected)
    allocation.allocator.beta.fill_(0.0)
    plain = allocation.allocator(stack(sources(evaluation, "test"), "typicality"))
    assert not torch.allclose(plain, expected, atol=1e-3)
