"""Tokens: attention against loops, padding and absent modalities that change no bit, coalitions by tokens taken out."""

from dataclasses import replace
from itertools import permutations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ambidex.base.errors import ModelError
from ambidex.configuration.values import Choice
from ambidex.data.kinds import InputSpec
from ambidex.learn.methods.joint import Joint
from ambidex.net.attention import Attention, Block, pooled_mean
from ambidex.net.contributions.coalitions import MaskedHead, absent_features, contribution_shares
from ambidex.net.encoded import Encoded, EncodedFeatures, features_of, joined, parts_of, rows_of, scaled
from ambidex.net.encoders.transformer import Transformer
from ambidex.net.fusion.attention import AttentionFusion
from ambidex.net.model import Architecture, MultimodalNet, load_model, save_model
from ambidex.testing import ground

DIMS = {"audio": 8, "visual": 12}


def attention_by_loops(layer: Attention, x: Tensor) -> Tensor:
    """One sample [L, D], token by token and head by head."""
    length, dim = x.shape
    size = dim // layer.heads
    q, k, v = (
        x @ part.T + bias
        for part, bias in zip(layer.into.weight.chunk(3), layer.into.bias.chunk(3), strict=True)
    )
    out = torch.zeros_like(x)
    for head in range(layer.heads):
        own = slice(head * size, (head + 1) * size)
        for i in range(length):
            scores = torch.tensor(
                [(q[i, own] @ k[j, own]).item() / size**0.5 for j in range(length)]
            ).double()
            weights = scores.exp() / scores.exp().sum()
            out[i, own] = sum(weights[j] * v[j, own] for j in range(length))
    return out @ layer.out.weight.T + layer.out.bias


def test_attention_is_what_loops_say_and_a_mask_is_a_shorter_sequence():
    torch.manual_seed(0)
    layer, x = Attention(6, 2, 0.0).double(), torch.randn(3, 5, 6, dtype=torch.float64)
    real = torch.tensor([[1, 1, 1, 1, 1], [1, 0, 1, 0, 0], [0, 0, 1, 1, 0]], dtype=torch.bool)
    found = layer(x, real)
    for row in range(3):
        kept = real[row]
        torch.testing.assert_close(
            found[row, kept], attention_by_loops(layer, x[row, kept]), rtol=0, atol=1e-6
        )


def test_what_stands_in_padding_changes_no_bit():
    torch.manual_seed(0)
    block, x = Block(8, 2, 0.0), torch.randn(2, 6, 8)
    real = torch.tensor([[1, 1, 1, 0, 0, 1], [1, 0, 0, 0, 0, 0]], dtype=torch.bool)
    other = torch.where(real[..., None], x, 1e4 * torch.randn_like(x))
    assert torch.equal(block(x, real)[real], block(other, real)[real])
    mean = pooled_mean(torch.where(real[..., None], x, torch.nan), real)
    torch.testing.assert_close(mean[0], x[0, real[0]].mean(0))
    assert torch.equal(pooled_mean(x, torch.zeros_like(real)), torch.zeros(2, 8))


@pytest.mark.parametrize(("kind", "shape"), [("spectrogram", (5, 7)), ("frames", (2, 3, 5, 4))])
def test_a_token_is_its_patch_and_no_other(kind: str, shape: tuple[int, ...]):
    """Without layers, each token is the linear map of one patch, cut by loops, and its place."""
    encoder = Transformer(Transformer.Config(patch=3, dim=8, heads=2), InputSpec(kind, shape)).eval()
    encoder.blocks = nn.ModuleList()
    x = torch.randn(2, *shape)
    images = x[:, None, None] if x.dim() == 3 else x
    tokens = encoder.encode(x).tokens
    assert tokens is not None
    number = 0
    for frame in range(images.shape[1]):
        place = 0
        for top in range(0, images.shape[3], 3):
            for left in range(0, images.shape[4], 3):
                patch = torch.zeros(2, images.shape[2], 3, 3)
                piece = images[:, frame, :, top : top + 3, left : left + 3]
                patch[:, :, : piece.shape[2], : piece.shape[3]] = piece
                expected = encoder.embed(patch.flatten(1)) + encoder.place[place]
                if encoder.time is not None:
                    expected = expected + encoder.time[frame, 0]
                torch.testing.assert_close(tokens[:, number], encoder.norm(expected))
                number, place = number + 1, place + 1
    assert tokens.shape[1] == number


def test_a_sequence_has_as_many_tokens_as_its_steps_fill():
    encoder = Transformer(Transformer.Config(patch=2, dim=8, heads=2), InputSpec("sequence", (7, 3))).eval()
    x = torch.zeros(3, 7, 3)
    for row, steps in enumerate((7, 3, 0)):
        x[row, :steps] = torch.cat([torch.randn(steps, 2), torch.ones(steps, 1)], 1)
    said = encoder.encode(x)
    assert said.mask is not None
    assert said.mask.sum(1).tolist() == [4, 2, 0]
    short = Transformer(encoder.config, InputSpec("sequence", (3, 3))).eval()
    short.load_state_dict(encoder.state_dict() | {"place": encoder.place[:2]})
    torch.testing.assert_close(short(x[1:2, :3]), said.pooled[1:2])
    assert torch.equal(said.pooled[2], torch.zeros(8))
    dirty = x.clone()
    dirty[1, 3:, :2] = torch.nan
    assert torch.equal(encoder(dirty)[1], said.pooled[1])


def test_what_cannot_be_cut_is_refused_in_one_line():
    with pytest.raises(
        ModelError, match=r"^encoder 'transformer': found an input of kind 'vector' \[7\], expected"
    ):
        Transformer(Transformer.Config(), InputSpec("vector", (7,)))
    with pytest.raises(ModelError, match="dim 10 is no multiple of heads 4"):
        Transformer(Transformer.Config(dim=10), InputSpec("spectrogram", (8, 8)))
    with pytest.raises(
        ModelError, match=r"10,000 tokens of a sample, expected at most 4,096; use a larger patch"
    ):
        Transformer(Transformer.Config(patch=1), InputSpec("spectrogram", (100, 100)))
    with pytest.raises(ModelError, match="fusion 'attention': dim 6 is no multiple of heads 4"):
        AttentionFusion(AttentionFusion.Config(dim=6), DIMS, 3)


def token_features(rows: int = 4, present: dict[str, list[int]] | None = None) -> dict[str, Encoded]:
    torch.manual_seed(3)
    parts = {}
    for (name, dim), length in zip(DIMS.items(), (5, 3), strict=True):
        tokens, mask = torch.randn(rows, length, dim), torch.rand(rows, length) > 0.3
        mask[:, 0] = True
        here = None if present is None else torch.tensor(present[name], dtype=torch.bool)
        parts[name] = Encoded(pooled_mean(tokens, mask), tokens, mask, here)
    return parts


def head(**options: int) -> AttentionFusion:
    torch.manual_seed(4)
    return AttentionFusion(AttentionFusion.Config(heads=2, **options), DIMS, 3).eval()


def alone(fusion: AttentionFusion, parts: dict[str, Encoded], row: int, names: tuple[str, ...]) -> Tensor:
    """The logits of one sample, from the real tokens of `names` only, set side by side by hand without a mask."""
    tokens = [fusion.query[None]]
    for name in DIMS:
        if name in names:
            own = parts[name].tokens[row][parts[name].mask[row]]  # type: ignore[index]
            tokens.append(fusion.project[name](own) + fusion.marks[name])
    x = torch.cat(tokens)[None]
    for block in fusion.stack:
        x = block(x, None)
    return fusion.out(fusion.norm(x[:, 0]))[0]


@torch.no_grad()
def test_the_head_is_attention_over_the_tokens_that_are_there():
    fusion = head(layers=2)
    parts = token_features(present={"audio": [1, 0, 1, 0], "visual": [1, 1, 0, 0]})
    logits = fusion(EncodedFeatures(parts))
    for row, names in enumerate((("audio", "visual"), ("visual",), ("audio",), ())):
        torch.testing.assert_close(logits[row], alone(fusion, parts, row, names), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_what_an_absent_modality_holds_changes_no_bit():
    fusion = head()
    parts = token_features(present={"audio": [1, 0, 1, 0], "visual": [1, 1, 0, 1]})
    spoilt = {}
    for name, part in parts.items():
        gone = ~part.present  # type: ignore[operator]
        pooled, tokens = part.pooled.clone(), part.tokens.clone()  # type: ignore[union-attr]
        pooled[gone], tokens[gone] = torch.nan, torch.nan
        spoilt[name] = Encoded(pooled, tokens, part.mask, part.present)
    assert torch.equal(fusion(EncodedFeatures(spoilt)), fusion(EncodedFeatures(parts)))


@torch.no_grad()
def test_coalitions_take_tokens_out_and_shapley_is_the_mean_over_orders():
    fusion, parts = head(), token_features()
    features = features_of(parts)
    background = absent_features({}, features, "zero")
    masked = MaskedHead(fusion, features, background)
    value = {
        names: torch.stack([alone(fusion, parts, row, names) for row in range(4)])
        for names in ((), ("audio",), ("visual",), ("audio", "visual"))
    }
    for names, expected in value.items():
        torch.testing.assert_close(masked(frozenset(names)), expected, rtol=1e-4, atol=1e-5)
    phi = contribution_shares(fusion, features, background).phi
    for name in DIMS:
        gains = []
        for order in permutations(DIMS):
            before = tuple(m for m in DIMS if m in order[: order.index(name)])
            after = tuple(m for m in DIMS if m in before or m == name)
            gains.append(value[after] - value[before])
        expected = sum(gains) / 2 + value[()] / 2
        torch.testing.assert_close(phi[name], expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(sum(phi.values()), fusion(features), rtol=1e-4, atol=1e-5)


def test_an_encoder_without_tokens_gives_its_feature_as_the_only_one():
    fusion = head()
    plain = {m: torch.randn(3, dim) for m, dim in DIMS.items()}
    single = {m: Encoded(h, h[:, None]) for m, h in plain.items()}
    assert torch.equal(fusion(plain), fusion(EncodedFeatures(single)))


def test_rows_joined_and_scaled_keep_tokens_in_step():
    parts = token_features(present={"audio": [1, 0, 1, 0], "visual": [1, 1, 0, 1]})
    features = features_of(parts)
    halves = joined([rows_of(features, slice(2)), rows_of(features, slice(2, None))])
    for name, part in parts_of(halves).items():
        for found, expected in zip(vars(part).values(), vars(parts[name]).values(), strict=True):
            assert torch.equal(found, expected)
    factor = torch.tensor([2.0, 0.0, 1.0, -1.0])
    by = parts_of(scaled(features, dict.fromkeys(DIMS, factor)))["audio"]
    for row, one in enumerate([2.0, 1.0, 1.0, 1.0]):  # rows 1 and 3 lack it, and stay as they are
        assert torch.equal(by.pooled[row], one * parts["audio"].pooled[row])
        assert torch.equal(by.tokens[row], one * parts["audio"].tokens[row])  # type: ignore[index]
    with pytest.raises(TypeError):
        features["audio"] = torch.zeros(4, 8)  # type: ignore[index]


def net(fusion: str) -> MultimodalNet:
    inputs = {
        "audio": InputSpec("spectrogram", (9, 10), (0.0,), (1.0,)),
        "touch": InputSpec("vector", (4,), (0.0,) * 4, (1.0,) * 4),
    }
    encoders = {
        "audio": Choice(name="transformer", patch=4, dim=8, layers=1, heads=2),
        "touch": Choice(name="mlp", dim=6),
    }
    torch.manual_seed(0)
    return MultimodalNet(Architecture(inputs, encoders, Choice(name=fusion), ("one", "two", "three")))


def test_only_a_head_that_reads_tokens_is_given_them_and_a_saved_model_says_the_same(tmp_path):
    x = {"audio": torch.randn(3, 9, 10), "touch": torch.randn(3, 4)}
    assert isinstance(net("concat").encode(x), dict)
    model = net("attention").eval()
    features = model.encode(x)
    tokens = {m: part.tokens for m, part in parts_of(features).items()}
    assert {m: None if t is None else t.shape[1:] for m, t in tokens.items()} == {
        "audio": (9, 8),
        "touch": (1, 6),
    }
    assert torch.equal(features["audio"], net("concat").eval().encode(x)["audio"])
    save_model(model, tmp_path)
    assert torch.equal(load_model(tmp_path)(x), model(x))
    F.cross_entropy(model(x), torch.tensor([0, 1, 2])).backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize(
    ("method", "options"),
    [("joint", {}), ("multi_task", {"heads": "own"}), ("pmr", {}), ("relearning", {"every": 1})],
)
def test_methods_that_read_features_train_with_a_head_that_reads_tokens(tmp_path, method: str, options: dict):
    shape = ground.architecture(("audio", "visual"), "attention")
    small = Choice(name="transformer", patch=8, dim=8, layers=1, heads=2)
    shape = replace(shape, encoders=dict.fromkeys(shape.encoders, small))
    torch.manual_seed(0)
    model = MultimodalNet(ground.make_method(method, options).architecture(shape))
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    ground.engine(tmp_path, method, options, model=model, accumulate=2, epochs=2).fit()
    moved = {name for name, weight in model.state_dict().items() if not torch.equal(weight, before[name])}
    assert {"fusion.query", "encoders.audio.place", "encoders.visual.place", "fusion.marks.audio"} <= moved


def test_a_hook_that_leaves_the_tokens_out_is_named(tmp_path):
    class Halved(Joint):
        def features(self, step, features):
            return {m: h / 2 for m, h in features.items()}

    shape = ground.architecture(("audio", "visual"), "attention")
    one = ground.engine(tmp_path, Joint, model=MultimodalNet(shape))
    one.method.features = Halved.features.__get__(one.method)
    with pytest.raises(
        ModelError, match=r"^method joint: its hook `features` leaves out the tokens that fusion 'attention'"
    ):
        one.fit()
