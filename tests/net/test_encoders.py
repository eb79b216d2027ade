"""Encoders: shapes, parameter names of ResNet-18, frames folded into the batch, published weights."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ambidex.base.errors import ModelError
from ambidex.data.kinds import InputSpec
from ambidex.net.encoders import ENCODERS, Encoder
from ambidex.testing import CheckError, check_encoder, encoders
from ambidex.testing.encoders import SPECS, batch

AUDIO, VISUAL, TEXT, WALK, WORDS, SOUND = SPECS
FITTING = [
    ("resnet18", AUDIO),
    ("resnet18", VISUAL),
    ("small_cnn", AUDIO),
    ("small_cnn", VISUAL),
    ("mlp", AUDIO),
    ("mlp", VISUAL),
    ("mlp", TEXT),
    ("mlp", WALK),
    ("sequence_cnn", WALK),
    ("transformer", AUDIO),
    ("transformer", VISUAL),
    ("transformer", WALK),
    ("mlp", SOUND),
    ("ast", AUDIO),
    ("vit", VISUAL),
    ("sequence_transformer", WALK),
    ("sequence_gru", WALK),
    ("text_transformer", WORDS),
    ("text_bag", WORDS),
    ("waveform_cnn", SOUND),
]
SMALL: dict[str, dict[str, Any]] = {
    "resnet18": {"width": 4},
    "small_cnn": {"width": 4},
    "mlp": {"hidden": (9,)},
    "sequence_cnn": {"width": 8, "blocks": 2, "dim": 12},
    "transformer": {"patch": 8, "dim": 16, "layers": 1},
    "ast": {"patch": 8, "stride": 5, "dim": 16, "layers": 1},
    "vit": {"patch": 8, "dim": 16, "layers": 1},
    "sequence_transformer": {"dim": 16, "layers": 1},
    "sequence_gru": {"width": 8, "layers": 2, "dim": 12},
    "text_transformer": {"dim": 16, "layers": 1},
    "text_bag": {"width": 8, "dim": 12},
    "waveform_cnn": {"width": 4, "blocks": 2, "dim": 12},
}
SIGNED = ("transformer", "ast", "vit", "sequence_transformer", "text_transformer")


def build(name: str, spec: InputSpec, **options: Any) -> Encoder:
    return encoders.build(name, spec, {**SMALL[name], **options})


def test_the_plugins():
    assert set(ENCODERS.own()) == {*SMALL, "hf"}


@pytest.mark.parametrize("name", SMALL)  # of hf: test_encoder_hf.py
def test_it_keeps_the_contract(name: str):
    assert set(check_encoder(name, SMALL.get(name, {}))) == {
        spec.kind for one, spec in FITTING if one == name
    }


class ForSequences(Encoder):
    """Means over steps through a matrix, of a sequence [B, T, D]: it refuses whatever else it is built for."""

    def __init__(self, config: Any, spec: InputSpec) -> None:
        super().__init__(config, spec)
        self.check(spec)
        self.dim = 5
        self.linear = nn.Linear(spec.shape[-1], self.dim)

    def check(self, spec: InputSpec) -> None:
        if spec.kind != "sequence":
            raise ModelError(f"takes sequences, not {spec.kind}")

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.linear(x).mean(1)
        return h


class ForgetsAll(ForSequences):
    def check(self, spec: InputSpec) -> None:
        pass


class Unpacks(ForSequences):
    def check(self, spec: InputSpec) -> None:
        _steps, _channels = spec.shape


class Asserts(ForgetsAll):
    def forward(self, x: Tensor) -> Tensor:
        assert self.spec.kind == "sequence", "two lines\nof it"
        return super().forward(x)


class Flattens(ForSequences):
    def check(self, spec: InputSpec) -> None:
        if spec.kind in ("spectrogram", "vector"):
            raise ModelError("takes steps")


def test_an_encoder_for_sequences_alone_keeps_the_contract():
    assert check_encoder(ForSequences) == ["sequence"]


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (Flattens, r"frames \[3, 3, 28, 36\]: expected \[4, 5\], got \[4, 3, 28, 5\]"),
        (Unpacks, r"frames \[3, 3, 28, 36\]: expected an encoder, got ValueError: too many values"),
        (Asserts, r"spectrogram \[20, 31\]: expected \[4, 5\], got AssertionError: two lines"),
    ],
)
def test_one_that_forgets_to_refuse_is_told_how(encoder: type[Encoder], message: str):
    with pytest.raises(CheckError, match=message) as caught:
        check_encoder(encoder)
    assert re.search(
        r"; an encoder that cannot take \w+ inputs raises ModelError when it is built$", str(caught.value)
    )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "spec"), FITTING)
def test_feature_shape_gradients_and_one_sample_in_evaluation(name: str, spec: InputSpec):
    whole = encoders.feature(build(name, spec), name, spec)
    assert whole.min() >= 0 or name in SIGNED  # a feature is not linear in the input
    assert whole.max() > 0


@pytest.mark.parametrize("name", ["resnet18", "small_cnn"])
def test_convolutions_refuse_vectors_in_one_line(name: str):
    with pytest.raises(
        ModelError, match=rf"^encoder '{name}': found an input of kind 'vector' \[7\], expected"
    ):
        build(name, TEXT)


@pytest.mark.parametrize("name", ["resnet18", "small_cnn"])
def test_frames_give_the_mean_of_each_frame_alone(name: str):
    encoder, x = build(name, VISUAL).eval(), batch(VISUAL)
    alone = torch.stack([encoder(x[:, i : i + 1]) for i in range(3)])
    assert torch.allclose(encoder(x), alone.mean(0), atol=1e-6)


def test_resnet_feature_is_the_average_over_time_and_positions():
    encoder, x = build("resnet18", VISUAL).eval(), batch(VISUAL, 2)
    maps: list[Tensor] = []
    stage = encoder.get_submodule("layer4")
    stage.register_forward_hook(lambda *parts: maps.append(parts[-1]))
    feature = encoder(x)
    volume = maps[0].unflatten(0, (2, 3)).transpose(1, 2)  # [B, C, T, h, w]
    assert torch.allclose(feature, nn.functional.adaptive_avg_pool3d(volume, 1).flatten(1), atol=1e-6)


def test_resnet_has_the_common_names_shapes_and_size():
    encoder = build("resnet18", InputSpec("frames", (1, 3, 64, 64)), width=64)
    shapes = {name: tuple(tensor.shape) for name, tensor in encoder.state_dict().items()}
    assert (
        sum(p.numel() for p in encoder.parameters()) == 11_176_512
    )  # 11,689,512 with the fc of 1,000 classes
    assert encoder.dim == 512
    norms = {"bn1": 64}
    expected = {"conv1.weight": (64, 3, 7, 7)}
    before = 64
    for stage, out in enumerate((64, 128, 256, 512), start=1):
        for block in (0, 1):
            name = f"layer{stage}.{block}"
            expected[f"{name}.conv1.weight"] = (out, before, 3, 3)
            expected[f"{name}.conv2.weight"] = (out, out, 3, 3)
            norms |= {f"{name}.bn1": out, f"{name}.bn2": out}
            if before != out:
                expected[f"{name}.downsample.0.weight"] = (out, before, 1, 1)
                norms[f"{name}.downsample.1"] = out
            before = out
    for name, size in norms.items():
        parts = ("weight", "bias", "running_mean", "running_var")
        expected |= {f"{name}.{part}": (size,) for part in parts} | {f"{name}.num_batches_tracked": ()}
    assert shapes == expected
    conv = encoder.get_parameter("layer4.0.conv1.weight")  # 256 -> 512: kaiming-normal counts the outputs
    assert abs(conv.std().item() / (2 / (512 * 9)) ** 0.5 - 1) < 0.01


def published(path: Path, **change: Tensor | None) -> Path:
    """A fake file of published weights: a network of width 4 on colour images, with its classifier."""
    torch.manual_seed(5)
    source = build("resnet18", VISUAL)
    weights = {name: torch.randn_like(t) if t.dim() else t for name, t in source.state_dict().items()}
    weights |= {"fc.weight": torch.randn(1000, 32), "fc.bias": torch.randn(1000)}
    for name, tensor in change.items():
        weights.pop(name, None)
        if tensor is not None:
            weights[name] = tensor
    if path.suffix == ".safetensors":
        save_file(weights, path)
    else:
        torch.save(weights, path)
    return path


@pytest.mark.parametrize("file", ["weights.safetensors", "weights.pth"])
def test_published_weights_load_only_when_asked(tmp_path: Path, file: str):
    missing = build("resnet18", VISUAL, weights=str(tmp_path / file))  # building needs no file
    published(tmp_path / file)
    before = {name: t.clone() for name, t in missing.state_dict().items()}
    missing.load_published()
    again = torch.load(published(tmp_path / "again.pth"), weights_only=True)
    loaded = missing.state_dict()
    assert all(torch.equal(loaded[name], again[name]) for name in before)
    assert not torch.equal(before["layer4.1.conv2.weight"], loaded["layer4.1.conv2.weight"])


def test_colour_weights_answer_a_spectrogram_as_they_answer_a_grey_image(tmp_path: Path):
    path = str(published(tmp_path / "weights.safetensors"))
    colour = build("resnet18", InputSpec("frames", (1, 3, 20, 31)), weights=path).eval()
    single = build("resnet18", AUDIO, weights=path).eval()
    colour.load_published()
    single.load_published()
    x = batch(AUDIO)
    grey = x[:, None, None].expand(-1, 1, 3, -1, -1)
    conv = [encoder.get_submodule("conv1") for encoder in (single, colour)]
    assert torch.allclose(conv[0](x[:, None]), conv[1](grey[:, 0]), atol=1e-4)


def test_older_files_without_batch_counters_load(tmp_path: Path):
    encoder = build("resnet18", VISUAL)
    counters = {name: None for name in encoder.state_dict() if name.endswith("num_batches_tracked")}
    encoder = build("resnet18", VISUAL, weights=str(published(tmp_path / "old.pth", **counters)))
    encoder.load_published()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer3.0.conv1.weight": None}, "tensor 'layer3.0.conv1.weight' is missing"),
        ({"layer1.2.conv1.weight": torch.zeros(1)}, "tensor 'layer1.2.conv1.weight' is unknown"),
        ({"bn1.bias": torch.zeros(64)}, r"tensor 'bn1.bias' has shape \[64\], expected \[4\]"),
        ({"conv1.weight": torch.zeros(4, 4, 7, 7)}, r"tensor 'conv1.weight' has shape \[4, 4, 7, 7\]"),
    ],
)
def test_weights_of_another_architecture_are_refused_by_name(
    tmp_path: Path, change: dict[str, Tensor | None], message: str
):
    path = published(tmp_path / "weights.pth", **change)
    encoder = build("resnet18", VISUAL, weights=str(path))
    before = encoder.get_parameter("conv1.weight").clone()
    with pytest.raises(ModelError, match=message) as error:
        encoder.load_published()
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    assert torch.equal(encoder.get_parameter("conv1.weight"), before)


@pytest.mark.parametrize("name", ["gone.pth", "gone.safetensors", "text.pth", "text.safetensors", "list.pth"])
def test_a_file_without_weights_is_refused_in_one_line(tmp_path: Path, name: str):
    if name.startswith("text"):
        (tmp_path / name).write_text("not weights\n")
    elif name == "list.pth":
        torch.save([torch.zeros(1)], tmp_path / name)
    encoder = build("resnet18", VISUAL, weights=str(tmp_path / name))
    with pytest.raises(ModelError, match=name) as error:
        encoder.load_published()
    assert "\n" not in str(error.value)


def test_a_weights_file_cannot_run_code(tmp_path: Path):
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"conv1.weight": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(ModelError, match=r"trap\.pth: is not a weights file"):
        build("resnet18", VISUAL, weights=str(tmp_path / "trap.pth")).load_published()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("shape", [(1, 1), (2, 9), (33, 5)])
def test_small_cnn_takes_any_size_and_keeps_frequency(shape: tuple[int, int]):
    spec = InputSpec("spectrogram", shape)
    encoder = build("small_cnn", spec).eval()
    assert encoder(batch(spec)).shape == (4, 64)
    assert encoder.get_submodule("project").in_features == 16 * -(-shape[0] // 8)
    steps = build("small_cnn", InputSpec("spectrogram", (8, 64)), steps=4).get_submodule("project")
    assert steps.in_features == 16 * 4


def test_small_cnn_with_group_norm_does_not_look_at_the_batch():
    encoder, x = build("small_cnn", AUDIO, norm="group").train(), batch(AUDIO)
    assert torch.allclose(encoder(x)[:1], encoder(x[:1]), atol=1e-6)
    batched = build("small_cnn", AUDIO).train()
    assert not torch.allclose(batched(x)[:1], batched(x[:1]), atol=1e-3)


def test_mlp_against_plain_formulas():
    encoder, x = build("mlp", TEXT, hidden=(5, 6), dim=3), batch(TEXT)
    h = x
    for weight, bias in zip(*[iter(encoder.parameters())] * 2, strict=True):
        h = (h @ weight.T + bias).clamp(min=0)
    assert torch.allclose(encoder(x), h, atol=1e-6)
    assert [tuple(p.shape) for p in encoder.parameters()][::2] == [(5, 7), (6, 5), (3, 6)]
    dropped = build("mlp", TEXT, dropout=0.5)
    assert not torch.equal(dropped(x), dropped(x))
    assert torch.equal(dropped.eval()(x), dropped(x))


@pytest.mark.parametrize("spec", [AUDIO, VISUAL])
def test_small_cnn_learns_where_things_are(spec: InputSpec):
    """Classes that differ only in the place of a spot: a global average cannot tell them apart."""
    encoder = build("small_cnn", spec)
    head = nn.Linear(encoder.dim, 3)
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=5e-3)
    labels = torch.arange(3).repeat(20)
    x = 0.3 * torch.randn(60, *spec.shape, generator=torch.Generator().manual_seed(2))
    for i, label in enumerate(labels.tolist()):
        x[i, ..., 1 + 6 * label : 4 + 6 * label, :8] += 2
    for _ in range(15):
        optimizer.zero_grad()
        nn.functional.cross_entropy(head(encoder(x)), labels).backward()
        optimizer.step()
    assert (head(encoder.eval()(x)).argmax(1) == labels).float().mean() > 0.95


@pytest.mark.parametrize("name", ["resnet18", "small_cnn"])
def test_pictures_are_no_sequences(name: str):
    with pytest.raises(ModelError, match=rf"^encoder '{name}': found an input of kind 'sequence' \[9, 4\]"):
        build(name, WALK)
    with pytest.raises(ModelError, match=r"^encoder 'sequence_cnn': found an input of kind 'vector' \[7\]"):
        build("sequence_cnn", TEXT)


@pytest.mark.parametrize(("channels", "steps", "samples"), [(1, 1, 3), (3, 9, 5), (6, 33, 16), (2, 50, 1)])
@pytest.mark.parametrize("more", [1, 7, 64, 500])
def test_padding_changes_no_bit_of_a_feature(channels: int, steps: int, samples: int, more: int):
    encoder = build("sequence_cnn", InputSpec("sequence", (steps, channels + 1)), blocks=3).eval()
    x = batch(encoder.spec, samples)
    feature = encoder(x)
    padded = torch.cat([x, x.new_zeros(samples, more, channels + 1)], dim=1)
    assert torch.equal(encoder(padded), feature)
    padded[..., :-1][padded[..., -1] == 0] = 1e6  # whatever stands in padding is not looked at
    assert torch.equal(encoder(padded), feature)


def test_a_step_that_is_real_counts_and_its_place_does():
    encoder, x = build("sequence_cnn", WALK, blocks=3).eval(), batch(WALK, 9)[-1:]
    feature = encoder(x)
    assert not torch.allclose(encoder(x.flip(1)), feature, atol=1e-3)
    for step in range(9):
        changed = x.clone()
        changed[:, step, 0] += 1
        assert not torch.allclose(encoder(changed), feature, atol=1e-4), step


def test_a_feature_is_the_mean_over_real_steps_before_the_last_layer():
    """Without blocks in the way: the input's linear map, averaged over real steps by hand."""
    encoder, x = build("sequence_cnn", WALK).eval(), batch(WALK)
    for block in encoder.get_submodule("blocks"):
        nn.init.zeros_(block.get_parameter("convolution.weight"))
    enter, project = encoder.get_submodule("enter"), encoder.get_submodule("project")
    for k, sample in enumerate(x):
        steps = sample[: k + 1, :-1]
        expected = project(enter(steps).mean(0)).relu()
        assert torch.allclose(encoder(x)[k], expected, atol=1e-6)


def test_tokens_of_a_sequence_are_its_real_steps():
    """A sample of one step has one token, which is its feature; padding adds tokens that are not real and zero."""
    encoder, x = build("sequence_cnn", WALK).eval(), batch(WALK)
    found = encoder.encode(x)
    assert torch.equal(found.pooled, encoder(x))
    assert found.tokens.shape == (4, 9, 12)
    assert found.mask.sum(1).tolist() == [1, 2, 3, 4]
    assert not found.tokens[~found.mask].any()
    assert torch.allclose(found.tokens[0, 0], found.pooled[0], atol=1e-6)
    padded = encoder.encode(torch.cat([x, x.new_zeros(4, 5, 4)], dim=1))
    assert torch.equal(padded.tokens[:, :9], found.tokens)
    assert not padded.mask[:, 9:].any()


def test_a_sample_without_a_step_gives_the_bias_alone():
    encoder = build("sequence_cnn", WALK).eval()
    nn.init.ones_(encoder.get_parameter("project.bias"))
    assert torch.equal(encoder(torch.zeros(2, 9, 4)), torch.ones(2, 12))


def test_a_kernel_is_odd():
    with pytest.raises(ValueError, match="got 4, expected an odd number"):
        ENCODERS.get("sequence_cnn").Config(kernel=4)
