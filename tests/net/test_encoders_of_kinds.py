"""Encoders for one kind of input each, against loops and equations written out: patches, words, states, filters."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ambidex.base.errors import ModelError
from ambidex.data.kinds import InputSpec
from ambidex.net.encoders.ast import SpectrogramTransformer
from ambidex.net.encoders.mlp import Mlp
from ambidex.net.encoders.sequence_gru import SequenceGru
from ambidex.net.encoders.sequence_transformer import SequenceTransformer
from ambidex.net.encoders.text_bag import TextBag
from ambidex.net.encoders.text_transformer import TextTransformer
from ambidex.net.encoders.transformer import Transformer
from ambidex.net.encoders.vit import VisionTransformer
from ambidex.net.encoders.waveform_cnn import WaveformCnn

WORDS = InputSpec("tokens", (6, 2), vocabulary=11)


def texts(*rows: list[int]) -> Tensor:
    x = torch.zeros(len(rows), 6, 2)
    for row, ids in enumerate(rows):
        x[row, : len(ids)] = torch.tensor([[float(one), 1.0] for one in ids])
    return x


def test_patches_of_a_spectrogram_overlap_as_its_stride_says() -> None:
    config = SpectrogramTransformer.Config(patch=4, stride=3, dim=8, heads=2)
    encoder = SpectrogramTransformer(config, InputSpec("spectrogram", (9, 12))).eval()
    encoder.blocks = nn.ModuleList()
    x = torch.randn(2, 9, 12)
    padded = nn.functional.pad(x, (0, 1, 0, 1))  # 4 + 2 * 3 = 10 of 9, 4 + 3 * 3 = 13 of 12
    tokens = encoder.encode(x).tokens
    assert tokens is not None
    corners = [(top, left) for top in (0, 3, 6) for left in (0, 3, 6, 9)]
    assert tokens.shape[1] == len(corners)
    for number, (top, left) in enumerate(corners):
        patch = padded[:, top : top + 4, left : left + 4].flatten(1)
        expected = encoder.norm(encoder.embed(patch) + encoder.place[number])
        torch.testing.assert_close(tokens[:, number], expected)
    small = SpectrogramTransformer(SpectrogramTransformer.Config(), InputSpec("spectrogram", (3, 5)))
    assert small.encode(torch.randn(1, 3, 5)).tokens.shape == (1, 1, 128)


@pytest.mark.parametrize(
    ("special", "spec", "other"),
    [
        (VisionTransformer, InputSpec("frames", (2, 3, 10, 9)), InputSpec("sequence", (9, 4))),
        (SequenceTransformer, InputSpec("sequence", (9, 4)), InputSpec("spectrogram", (9, 4))),
    ],
)
def test_one_for_a_single_kind_is_the_transformer_of_that_kind(
    special: type, spec: InputSpec, other: InputSpec
) -> None:
    options = {"patch": 2, "dim": 8, "layers": 1, "heads": 2}
    one = special(special.Config(**options), spec).eval()
    general = Transformer(Transformer.Config(**options), spec).eval()
    general.load_state_dict(one.state_dict())
    x = torch.ones(2, *spec.shape).cumsum(0)
    assert torch.equal(one(x), general(x))
    with pytest.raises(ModelError, match=f"found an input of kind '{other.kind}'"):
        special(special.Config(), other)


def test_a_word_is_its_embedding_and_its_place() -> None:
    encoder = TextTransformer(TextTransformer.Config(dim=8, heads=2), WORDS).eval()
    encoder.blocks = nn.ModuleList()
    said = encoder.encode(texts([3, 10, 3], [1]))
    assert said.mask.tolist() == [[True] * 3 + [False] * 3, [True] + [False] * 5]
    table = encoder.embed.weight
    for place, one in enumerate((3, 10, 3)):
        torch.testing.assert_close(said.tokens[0, place], encoder.norm(table[one] + encoder.place[place]))
    torch.testing.assert_close(said.pooled[0], said.tokens[0, :3].mean(0))


@pytest.mark.parametrize("kind", [TextTransformer, TextBag])
def test_what_stands_in_padding_changes_no_bit(kind: type) -> None:
    encoder = kind(kind.Config(dim=8), WORDS).eval()
    x = texts([3, 10, 3], [1, 2])
    dirty = x.clone()
    dirty[..., 0] = torch.where(x[..., 1] > 0, x[..., 0], 7)
    assert torch.equal(encoder(x), encoder(dirty))
    assert not torch.equal(encoder(x), encoder(texts([3, 10, 4], [1, 2])))


def test_a_bag_is_the_mean_of_its_words_whatever_their_order() -> None:
    encoder = TextBag(TextBag.Config(width=5, dim=7), WORDS).eval()
    table, layer = encoder.embed.weight.detach().numpy(), encoder.project
    mean = (table[3] + table[10] + table[3]) / 3
    expected = np.maximum(layer.weight.detach().numpy() @ mean + layer.bias.detach().numpy(), 0)
    np.testing.assert_allclose(encoder(texts([3, 10, 3])).detach().numpy()[0], expected, atol=1e-6)
    torch.testing.assert_close(encoder(texts([3, 10, 3])), encoder(texts([10, 3, 3])))


def test_numbers_are_refused_where_ids_are_meant_and_the_other_way_round() -> None:
    with pytest.raises(ModelError, match=r"'mlp': found .* 'tokens' .* expected quantities, not ids"):
        Mlp(Mlp.Config(), WORDS)
    with pytest.raises(ModelError, match=r"'text_bag': found .* 'vector' \[7\], expected token ids"):
        TextBag(TextBag.Config(), InputSpec("vector", (7,)))


def states(steps: NDArray[np.float64], gru: nn.GRU, end: str) -> NDArray[np.float64]:
    """The equations of a gated recurrent unit, step by step: the states [T, W]."""
    parts = {name: getattr(gru, f"{name}_l0{end}").detach().double().numpy()
             for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}  # fmt: skip

    def sigmoid(value: NDArray[np.float64]) -> NDArray[np.float64]:
        return 1 / (1 + np.exp(-value))

    state, all_states = np.zeros(gru.hidden_size), []
    for step in steps:
        into = np.split(parts["weight_ih"] @ step + parts["bias_ih"], 3)
        back = np.split(parts["weight_hh"] @ state + parts["bias_hh"], 3)
        reset, update = sigmoid(into[0] + back[0]), sigmoid(into[1] + back[1])
        state = (1 - update) * np.tanh(into[2] + reset * back[2]) + update * state
        all_states.append(state)
    return np.array(all_states)


@pytest.mark.parametrize("both", [True, False])
def test_states_follow_the_equations_over_real_steps_alone(both: bool) -> None:
    config = SequenceGru.Config(width=4, dim=5, both=both)
    encoder = SequenceGru(config, InputSpec("sequence", (7, 4))).eval()
    x = torch.full((3, 7, 4), 9.0)
    x[..., -1] = 0
    for row, length in enumerate((7, 3, 0)):
        x[row, :length] = torch.cat([torch.randn(length, 3), torch.ones(length, 1)], 1)
    said = encoder.encode(x)
    layer = encoder.project
    for row, length in enumerate((7, 3)):
        steps = x[row, :length, :3].double().numpy()
        forwards = states(steps, encoder.gru, "")
        whole, ends = forwards, forwards[-1]
        if both:
            backwards = states(steps[::-1], encoder.gru, "_reverse")[::-1]
            whole, ends = np.concatenate([forwards, backwards], 1), np.concatenate([ends, backwards[0]])
        weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        expected = np.maximum(whole @ weight.T + bias, 0)
        np.testing.assert_allclose(said.tokens[row, :length].detach(), expected, atol=1e-5)
        np.testing.assert_allclose(said.pooled[row].detach(), np.maximum(weight @ ends + bias, 0), atol=1e-5)
    assert not said.tokens[1, 3:].any()
    assert said.pooled[2].isfinite().all()


def test_a_waveform_has_a_token_for_each_step_of_the_last_block() -> None:
    encoder = WaveformCnn(
        WaveformCnn.Config(width=4, blocks=2, kernel=20, stride=5), InputSpec("waveform", (1000,))
    )
    sound = torch.sin(torch.arange(1000) / 3.0)[None]
    said = encoder.eval().encode(sound)
    steps = 1 + (1000 + 2 * 10 - 20) // 5  # of the first filter
    for _ in range(2):
        steps = -(-steps // 4)  # a quarter of them, rounded up
    assert said.tokens.shape == (1, steps, 64)
    pooled = encoder.blocks(sound[:, None]).mean(2) @ encoder.project.weight.T + encoder.project.bias
    torch.testing.assert_close(said.pooled, pooled.relu())
