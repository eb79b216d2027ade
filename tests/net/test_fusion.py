"""Fusions: plain formulas by hand, contributions that sum to the logits, and what is refused."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ambidex.base.errors import ModelError
from ambidex.net.fusion import FUSIONS, Fusion
from ambidex.testing import check_fusion, fusions
from ambidex.testing.fusions import CLASSES
from ambidex.testing.fusions import draw as features

ADDITIVE = [name for name, fusion in FUSIONS.all().items() if fusion.additive]


def build(name: str, dims: Mapping[str, int], **options: Any) -> Fusion:
    return fusions.build(name, dims, options)


def named(fusion: Fusion) -> dict[str, Tensor]:
    return dict(fusion.named_parameters())


def test_the_plugins_and_which_are_additive():
    assert set(FUSIONS.names()) == {
        "boosted",
        "concat",
        "concat_map",
        "sum",
        "shared",
        "shared_entropy",
        "gated",
        "film",
        "attention",
    }
    assert set(ADDITIVE) == {"boosted", "concat", "concat_map", "sum", "shared"}


@pytest.mark.parametrize("name", [name for name in ADDITIVE if name != "boosted"])  # it may have no blocks
@given(dims=st.lists(st.integers(1, 6), min_size=2, max_size=4), batch=st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_contributions_sum_to_the_logits_and_come_from_the_blocks(name: str, dims: list[int], batch: int):
    lengths = {f"m{i}": dim for i, dim in enumerate(dims)}
    fusion, h = build(name, lengths), features(lengths, batch)
    assert list(fusion.blocks()) == list(lengths)
    fusions.additive(fusion, h)


@pytest.mark.parametrize("name", FUSIONS.own())
def test_it_keeps_the_contract(name: str):
    check_fusion(name)


def test_concat_is_one_linear_layer_over_the_features_side_by_side():
    dims = {"a": 3, "v": 5, "t": 2}
    fusion, h = build("concat", dims), features(dims)
    p = named(fusion)
    expected = torch.cat(list(h.values()), dim=1) @ p["linear.weight"].T + p["linear.bias"]
    assert torch.allclose(fusion(h), expected)
    z = fusion.contributions(h)["v"]
    assert torch.allclose(z, h["v"] @ p["linear.weight"][:, 3:8].T + p["linear.bias"] / 3)


def test_sum_adds_layers_with_a_bias_each():
    dims = {"a": 3, "v": 5}
    fusion, h = build("sum", dims), features(dims)
    p = named(fusion)
    z = {m: h[m] @ p[f"linears.{m}.weight"].T + p[f"linears.{m}.bias"] for m in dims}
    assert torch.allclose(fusion(h), z["a"] + z["v"])
    assert torch.allclose(fusion.contributions(h)["a"], z["a"])


def test_concat_map_is_a_linear_layer_on_the_logits_of_concat():
    dims = {"a": 3, "v": 5}
    fusion, h = build("concat_map", dims), features(dims)
    p = named(fusion)
    logits = torch.cat(list(h.values()), dim=1) @ p["linear.weight"].T + p["linear.bias"]
    assert torch.allclose(fusion(h), logits @ p["map.weight"].T + p["map.bias"])
    assert torch.allclose(sum(fusion.inner(h).values()), logits)
    own = (h["v"] @ p["linear.weight"][:, 3:].T + p["linear.bias"] / 2) @ p["map.weight"].T + p[
        "map.bias"
    ] / 2
    assert torch.allclose(fusion.contributions(h)["v"], own)


def test_sum_with_mean_is_the_mean_of_what_each_modality_says_alone():
    dims = {"a": 3, "v": 5, "t": 2}
    plain, fusion, h = build("sum", dims), build("sum", dims, mean=True), features(dims)
    said = plain.contributions(h)
    assert plain.branch_scale == 1
    assert fusion.branch_scale == 3
    assert torch.allclose(fusion(h), sum(said.values()) / 3)
    for m, z in fusion.contributions(h).items():
        assert torch.allclose(z, said[m] / 3)
        nothing = fusion.contributions({m: torch.zeros_like(x) for m, x in h.items()})[m]
        assert torch.allclose(z - nothing, h[m] @ fusion.blocks()[m].T)


@pytest.mark.parametrize("name", ["concat", "concat_map", "sum"])
def test_starting_from_classifiers_the_logits_are_their_sum(name: str):
    dims = {"audio": 3, "visual": 5, "text": 2}
    h = {m: torch.randn(4, dim, dtype=torch.float64) for m, dim in dims.items()}
    alone = {m: torch.nn.Linear(dim, CLASSES, dtype=torch.float64) for m, dim in reversed(dims.items())}
    head = build(name, dims)
    assert head.start_from(alone)
    wanted = sum(h[m] @ alone[m].weight.T + alone[m].bias for m in dims)
    torch.testing.assert_close(head(h), wanted)
    for m, block in head.blocks().items():
        torch.testing.assert_close(block, alone[m].weight)


@pytest.mark.parametrize("name", ["shared", "shared_entropy", "gated", "film"])
def test_a_head_that_is_no_sum_of_classifiers_keeps_its_own_start(name: str):
    dims = {"audio": 4, "visual": 4}
    head = build(name, dims)
    before = {key: value.clone() for key, value in head.state_dict().items()}
    assert not head.start_from({m: torch.nn.Linear(4, CLASSES, dtype=torch.float64) for m in dims})
    assert all(torch.equal(before[key], value) for key, value in head.state_dict().items())


def test_shared_reads_every_modality_by_one_weight():
    dims = {"a": 3, "v": 5, "t": 5}
    fusion, h = build("shared", dims), features(dims)
    p = named(fusion)
    assert set(p) == {"linear.weight", "linear.bias", "project.a.weight"}  # equal lengths need no projection
    weight, bias = p["linear.weight"], p["linear.bias"]
    expected = (h["a"] @ p["project.a.weight"].T + h["v"] + h["t"]) @ weight.T + bias
    assert torch.allclose(fusion(h), expected)
    assert fusion.blocks()["v"] is fusion.blocks()["t"]


@pytest.mark.parametrize("name", ["concat", "sum"])
def test_blocks_are_views_of_the_weights(name: str):
    dims = {"a": 3, "v": 5}
    fusion, h = build(name, dims), features(dims)
    with torch.no_grad():
        fusion.blocks()["v"].zero_()
    assert torch.allclose(fusion.contributions(h)["v"].std(0), torch.zeros(CLASSES).double())
    assert fusion.contributions(h)["a"].std(0).min() > 0


@pytest.mark.parametrize("conditioner", [None, "a", "v"])
def test_gated_with_two_modalities_is_the_fields_form(conditioner: str | None):
    dims = {"a": 3, "v": 5}
    fusion, h = build("gated", dims, conditioner=conditioner, dim=6), features(dims)
    p = named(fusion)
    fc = {m: h[m] @ p[f"project.{m}.weight"].T + p[f"project.{m}.bias"] for m in dims}
    gate, other = (fc["v"], fc["a"]) if conditioner == "v" else (fc["a"], fc["v"])
    expected = (1 / (1 + (-gate).exp()) * other) @ p["out.weight"].T + p["out.bias"]
    assert torch.allclose(fusion(h), expected)


@pytest.mark.parametrize("conditioner", [None, "v"])
def test_film_with_two_equal_lengths_is_the_fields_form(conditioner: str | None):
    dims = {"a": 4, "v": 4}
    fusion, h = build("film", dims, conditioner=conditioner), features(dims)
    p = named(fusion)
    film, other = (h["v"], h["a"]) if conditioner else (h["a"], h["v"])
    both = film @ p["condition.weight"].T + p["condition.bias"]
    expected = (both[:, :4] * other + both[:, 4:]) @ p["out.weight"].T + p["out.bias"]
    assert torch.allclose(fusion(h), expected)


def test_with_three_modalities_the_others_are_added_before_they_are_conditioned():
    dims = {"a": 3, "v": 5, "t": 2}
    h = features(dims)
    film = build("film", dims, conditioner="t")
    p = named(film)
    gamma, beta = (h["t"] @ p["condition.weight"].T + p["condition.bias"]).split(5, dim=1)
    hidden = gamma * (h["a"] @ p["project.a.weight"].T + h["v"]) + beta
    assert torch.allclose(film(h), hidden @ p["out.weight"].T + p["out.bias"])
    gated = build("gated", dims)
    p = named(gated)
    fc = {m: h[m] @ p[f"project.{m}.weight"].T + p[f"project.{m}.bias"] for m in dims}
    hidden = fc["a"].sigmoid() * fc["v"] + fc["a"].sigmoid() * fc["t"]
    assert torch.allclose(gated(h), hidden @ p["out.weight"].T + p["out.bias"])


@pytest.mark.parametrize("name", ["gated", "film"])
def test_other_fusions_have_no_contributions_and_refuse_an_unknown_conditioner(name: str):
    dims = {"audio": 3, "visual": 5}
    assert build(name, dims).contributions(features(dims)) is None
    assert build(name, dims).branches(features(dims)) is None
    with pytest.raises(ModelError, match=f"fusion '{name}': conditioner 'visul' .* did you mean 'visual'"):
        build(name, dims, conditioner="visul")
    with pytest.raises(ModelError, match=rf"fusion '{name}': found one modality, \['audio'\]"):
        build(name, {"audio": 3})


@pytest.mark.parametrize(
    "name", [name for name in FUSIONS.names() if name != "attention"]
)  # as transformers do
def test_linear_layers_start_xavier_normal_with_zero_bias(name: str):
    torch.manual_seed(0)
    cls = FUSIONS.get(name)
    fusion = cls(
        cls.Config(dim=300) if "dim" in cls.Config.model_fields else cls.Config(), {"a": 300, "v": 200}, 100
    )
    for key, parameter in fusion.named_parameters():
        if parameter.dim() == 0:
            continue  # a rate
        if parameter.dim() == 1:
            assert not parameter.any(), key
        else:
            expected = (2 / sum(parameter.shape)) ** 0.5
            assert abs(parameter.std().item() / expected - 1) < 0.03, key
