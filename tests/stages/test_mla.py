"""A model that MLA trained, through the stages: its test-time fusion is what every later stage sees."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from scipy.special import softmax
from scipy.stats import entropy

from ambidex.base.layout import Layout
from ambidex.base.readers import read_json
from ambidex.data.store.reading import FeatureStore
from ambidex.decide.repaired import load_saved
from ambidex.net.model import load_model
from ambidex.stages import run
from helpers.runs import extracted, pretrained, small_params

ALLOCATORS = ["uniform", "category", "temperature"]


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """Classifiers of each modality, and models that start from their encoders."""
    found = extracted(tmp_path_factory.mktemp("run"))
    pretrained(found, small_params())
    for name, options in {"entropy": {}, "fixed": {"weights": "fixed"}}.items():
        train = {"method": "mla", "regime": "pretrained", "head": "classifiers"}
        params = small_params(train=train, methods={"mla": options})
        inputs = {"features": found.features, "encoders": found.encoders(0)}
        run("train", params, inputs, {"model": found.models / name})
        section = {"allocators": ALLOCATORS, "allocator": "temperature", "folds": 2, "save": True}
        report = {"report": found.root / "reports" / name}
        run("evaluate", small_params(evaluate=section), inputs | {"model": found.models / name}, report)
    return found


def seen(layout: Layout, name: str) -> tuple[Any, dict[str, Any], torch.Tensor]:
    """The model, the test split's inputs and its labels."""
    store = FeatureStore.open(layout.features)
    rows = store.rows("test")
    model = load_model(layout.models / name)
    return model, {m: store.gather(m, rows) for m in model.modalities}, store.labels[rows]


@torch.no_grad()
def by_hand(model: Any, inputs: dict[str, Any], rule: str) -> tuple[dict[str, Any], Any]:
    """What the shared head says of each modality, and its weighted sum."""
    head = model.fusion.shared
    z = {m: (h @ head.weight.T + head.bias).numpy() for m, h in model.encode(inputs).items()}
    weights = softmax([-entropy(softmax(logits, axis=1), axis=1) for logits in z.values()], axis=0)
    if rule == "fixed":
        weights[:] = 0.5
    return z, sum(w[:, None] * logits for w, logits in zip(weights, z.values(), strict=True))


@pytest.mark.parametrize("name", ["entropy", "fixed"])
def test_the_report_is_of_the_fused_prediction_and_its_branches(layout: Layout, name: str) -> None:
    model, inputs, labels = seen(layout, name)
    z, fused = by_hand(model, inputs, name)
    said = load_file(layout.root / "reports" / name / "predictions.safetensors")
    torch.testing.assert_close(
        said["allocator/uniform"].double(),
        torch.from_numpy(softmax(fused, axis=1)).double(),
        atol=1e-5,
        rtol=0,
    )
    details = read_json(layout.root / "reports" / name / "details.json")
    for m, logits in z.items():
        probabilities = torch.from_numpy(softmax(logits, axis=1))
        torch.testing.assert_close(said[f"branch/{m}"].double(), probabilities.double(), atol=1e-5, rtol=0)
        right = (logits.argmax(1) == labels.numpy()).mean()
        assert details["branches"][m]["test"]["accuracy"] == pytest.approx(right)
    assert (fused.argmax(1) == labels.numpy()).mean() > 0.6


@pytest.mark.parametrize("name", ["entropy", "fixed"])
def test_saved_with_an_allocator_it_predicts_what_the_report_says(layout: Layout, name: str) -> None:
    report = layout.root / "reports" / name
    _, inputs, _ = seen(layout, name)
    model = load_saved(report / "model")
    said = load_file(report / "predictions.safetensors")["allocator/temperature"]
    with torch.no_grad():
        torch.testing.assert_close(model(inputs).softmax(1), said, atol=1e-6, rtol=0)


def test_an_allocator_can_weigh_what_the_head_says_of_each_modality(layout: Layout, tmp_path: Path) -> None:
    """With Shapley contributions that do not stand alone it reads the branches; forced here by the source."""
    from ambidex.decide.layer import DecisionLayer, DecisionSpec
    from ambidex.decide.repaired import Repaired
    from ambidex.judge.evaluation import collect

    model, inputs, _ = seen(layout, "entropy")
    layer = DecisionLayer(DecisionSpec("uniform", {}, "own_heads"), model.fusion.dims, model.classes)
    decided = Repaired(model, layer)
    z, _ = by_hand(model, inputs, "entropy")
    with torch.no_grad():
        torch.testing.assert_close(decided.eval()(inputs), torch.from_numpy(sum(z.values())))
    store = FeatureStore.open(layout.features)
    outputs = collect(model, store, ["train", "test"], 64, torch.device("cpu"))["test"]
    torch.testing.assert_close(sum(outputs.contributions.values()).float(), outputs.logits)
    for m, logits in z.items():
        torch.testing.assert_close(outputs.branches[m], torch.from_numpy(logits))
