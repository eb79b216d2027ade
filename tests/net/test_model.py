"""MultimodalNet: normalisation, ownership, saving and loading, and model files that do not fit."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ambidex.base.errors import AmbidexError, ModelError
from ambidex.configuration.values import Choice
from ambidex.data.kinds import InputSpec
from ambidex.net.fusion import FUSIONS
from ambidex.net.model import Architecture, MultimodalNet, load_model, save_model

INPUTS = {
    "audio": InputSpec("spectrogram", (16, 12), (-3.0,), (2.0,)),
    "visual": InputSpec("frames", (2, 3, 16, 16), (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)),
    "text": InputSpec("vector", (3,), (1.0, 2.0, 3.0), (1.0, 0.5, 0.1)),
}
ENCODERS = {
    "audio": Choice.model_validate({"name": "small_cnn", "width": 2, "dim": 6}),
    "visual": Choice.model_validate({"name": "resnet18", "width": 2}),
    "text": Choice.model_validate({"name": "mlp", "hidden": [5], "dim": 4}),
}

FUSION_OPTIONS = {"shared_entropy": {"dim": 5}}  # it takes features of unequal length only where that is said


def architecture(fusion: str = "concat", heads: bool = False, **encoders: Choice) -> Architecture:
    chosen = Choice.model_validate({"name": fusion, **FUSION_OPTIONS.get(fusion, {})})
    plain = Architecture(INPUTS, {**ENCODERS, **encoders}, chosen, ("cat", "dog"))
    return plain.adding("own_heads") if heads else plain


def build(*args: Any, **kwargs: Any) -> MultimodalNet:
    torch.manual_seed(0)
    return MultimodalNet(architecture(*args, **kwargs))


def stored(batch: int = 4) -> dict[str, Tensor]:
    draws = torch.Generator().manual_seed(1)
    return {
        "audio": torch.randn(batch, 16, 12, generator=draws),
        "visual": torch.randint(0, 256, (batch, 2, 3, 16, 16), dtype=torch.uint8, generator=draws),
        "text": torch.randn(batch, 3, generator=draws),
    }


def test_stored_tensors_are_normalised_by_hand():
    model, x = build(), stored()
    visual = model.normalise["visual"](x["visual"])
    assert torch.allclose(visual[:, :, 1], (x["visual"][:, :, 1] / 255 - 0.4) / 0.3)
    assert torch.allclose(model.normalise["audio"](x["audio"]), (x["audio"] + 3) / 2)
    assert torch.allclose(model.normalise["text"](x["text"])[:, 2], (x["text"][:, 2] - 3) / 0.1, atol=1e-5)


def test_every_modality_owns_its_encoder_and_nothing_else():
    model = build(heads=True)
    owned = {id(p) for name in model.modalities for p in model.own(name)}
    assert len(owned) == sum(len(model.own(name)) for name in model.modalities)
    rest = [*model.fusion.parameters(), *model.additions.parameters()]
    assert len(rest) == 2 + 2 * len(model.modalities)
    assert not owned & {id(p) for p in rest}
    assert len(owned) + len(rest) == len(list(model.parameters()))
    x, before = stored(), {name: h.detach() for name, h in build().eval().encode(stored()).items()}
    with torch.no_grad():
        for parameter in model.own("audio"):
            parameter.add_(1)
    after = model.eval().encode(x)
    assert not torch.equal(after["audio"], before["audio"])
    assert torch.equal(after["visual"], before["visual"])


@pytest.mark.parametrize("fusion", FUSIONS.names())
@pytest.mark.parametrize("heads", [False, True])
def test_a_saved_model_predicts_bit_for_bit(tmp_path: Path, fusion: str, heads: bool):
    model, x = build(fusion, heads), stored()
    model(x)  # one training pass moves the running statistics
    save_model(model, tmp_path, fingerprint="abc")
    loaded = load_model(tmp_path)
    assert not loaded.training
    logits, contributions = model.eval().fuse(model.encode(x))
    again, parts = loaded.fuse(loaded.encode(x))
    assert torch.equal(again, logits)
    assert torch.equal(loaded(x), logits)
    assert (parts is None) == (fusion in ("gated", "film", "shared_entropy", "attention"))
    if contributions is not None and parts is not None:
        assert all(torch.equal(parts[name], contributions[name]) for name in model.modalities)
        assert torch.allclose(sum(parts.values(), torch.zeros(())), logits, atol=1e-6)
    branches, loaded_branches = (m.branches(m.encode(x)) for m in (model, loaded))
    assert (branches is None) == (fusion in ("gated", "film", "attention") and not heads)
    assert branches is None or all(torch.equal(branches[n], (loaded_branches or {})[n]) for n in branches)
    described = json.loads((tmp_path / "model.json").read_text())
    assert described["fingerprint"] == "abc"
    assert Architecture.from_json(described["architecture"]) == loaded.architecture
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "model.safetensors"]


def test_a_model_with_published_weights_loads_where_their_file_is_missing(tmp_path: Path):
    visual = Choice.model_validate({"name": "resnet18", "width": 2, "weights": str(tmp_path / "gone.pth")})
    model = build(visual=visual)
    save_model(model, tmp_path / "model")
    assert torch.equal(load_model(tmp_path / "model")(stored()), model.eval()(stored()))


def spoil(folder: Path, damage: str) -> None:
    weights, description = folder / "model.safetensors", folder / "model.json"
    tensors, described = load_file(weights), json.loads(description.read_text())
    match damage:
        case "no weights":
            weights.unlink()
        case "cut":
            weights.write_bytes(weights.read_bytes()[:200])
        case "text":
            weights.write_text("not weights")
        case "missing tensor":
            del tensors["fusion.linear.bias"]
            save_file(tensors, weights)
        case "unknown tensor":
            save_file({**tensors, "extra": torch.zeros(1)}, weights)
        case "wider":
            described["architecture"]["encoders"]["text"]["dim"] = 9
            description.write_text(json.dumps(described))
        case "no description":
            description.unlink()
        case "not JSON":
            description.write_text("{")
        case "no architecture":
            description.write_text("{}")
        case "no classes":
            del described["architecture"]["classes"]
            description.write_text(json.dumps(described))
        case "no such encoder":
            described["architecture"]["encoders"]["text"]["name"] = "mpl"
            description.write_text(json.dumps(described))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("no weights", r"model\.safetensors: cannot be read \(No such file"),
        ("cut", r"model\.safetensors: is not a readable weights file"),
        ("text", r"model\.safetensors: is not a readable weights file"),
        ("missing tensor", r"model\.safetensors: tensor 'fusion\.linear\.bias' is missing"),
        ("unknown tensor", r"model\.safetensors: tensor 'extra' is unknown"),
        ("wider", r"tensor 'encoders\.text\.layers\.2\.weight' has shape \[4, 5\], expected \[9, 5\]"),
        ("no description", r"model\.json: cannot be read \(No such file"),
        ("not JSON", r"model\.json: is not JSON \(line 1, column 2"),
        ("no architecture", r"model\.json: architecture: missing"),
        ("no classes", r"model\.json: architecture.classes: missing"),
        ("no such encoder", r"model\.encoders\.text: encoder 'mpl' does not exist; did you mean 'mlp'"),
    ],
)
def test_a_model_file_that_does_not_fit_is_refused_in_one_line(tmp_path: Path, damage: str, message: str):
    save_model(build(), tmp_path)
    spoil(tmp_path, damage)
    with pytest.raises(AmbidexError, match=message) as error:
        load_model(tmp_path)
    assert "\n" not in str(error.value)


def test_an_encoder_that_cannot_take_its_input_is_refused():
    with pytest.raises(ModelError, match="encoder 'small_cnn': found an input of kind 'vector'"):
        build(text=Choice(name="small_cnn"))
