"""Fusion `boosted`: learners by hand, one rate for all of them, and which of them have blocks."""

import pytest
import torch

from ambidex.net.fusion.boosted import Boosted

DIMS = {"a": 3, "v": 5, "t": 2}
CLASSES = 4
KINDS = [{"head": "own"}, {"hidden": 0}, {"hidden": 7}]


def _build(rate=0.7, dims=DIMS, **options):
    torch.manual_seed(0)
    fusion = Boosted(Boosted.Config(rate=rate, **options), dims, CLASSES).double()
    with torch.no_grad():
        for name, parameter in fusion.named_parameters():
            if name != "rate":
                parameter.add_(torch.randn_like(parameter))
    return fusion


def _features(dims=DIMS):
    torch.manual_seed(1)
    return {m: torch.randn(6, dim, dtype=torch.float64) for m, dim in dims.items()}


def _by_hand(fusion, h):
    """s_m, from the weights by their names."""
    p = dict(fusion.named_parameters())
    if fusion.config.head == "own":
        return {m: x @ p[f"heads.{m}.weight"].T + p[f"heads.{m}.bias"] for m, x in h.items()}
    x = {m: x if x.shape[1] == 5 else x @ p[f"project.{m}.weight"].T for m, x in h.items()}
    if fusion.config.hidden == 0:
        return {m: x @ p["common.weight"].T + p["common.bias"] for m, x in x.items()}
    inner = {m: (x @ p["common.0.weight"].T + p["common.0.bias"]).clamp_min(0) for m, x in x.items()}
    return {m: x @ p["common.2.weight"].T + p["common.2.bias"] for m, x in inner.items()}


@pytest.mark.parametrize("options", KINDS)
def test_the_logits_are_the_rate_times_the_sum_of_the_learners(options):
    fusion, h = _build(**options), _features()
    expected = _by_hand(fusion, h)
    for m, z in fusion.contributions(h).items():
        torch.testing.assert_close(fusion.score(m, h[m]), expected[m])
        torch.testing.assert_close(z, 0.7 * expected[m])
    torch.testing.assert_close(fusion(h), 0.7 * sum(expected.values()))


@pytest.mark.parametrize("options", KINDS)
def test_a_learner_is_read_by_its_own_parameters_and_never_by_the_rate(options):
    fusion, h = _build(**options), _features()
    for m in DIMS:
        gradients = torch.autograd.grad(
            fusion.score(m, h[m]).square().sum(), list(fusion.parameters()), allow_unused=True
        )
        reached = {id(p) for p, g in zip(fusion.parameters(), gradients, strict=True) if g is not None}
        assert reached == {id(p) for p in fusion.read_by(m)}
        assert id(fusion.rate) not in reached


@pytest.mark.parametrize("options", KINDS[:2])
def test_linear_learners_have_blocks(options):
    fusion, h = _build(**options), _features()
    z, blocks = fusion.contributions(h), fusion.blocks()
    nothing = fusion.contributions({m: torch.zeros_like(x) for m, x in h.items()})
    for m in DIMS:
        torch.testing.assert_close(z[m] - nothing[m], h[m] @ blocks[m].T)


def test_a_hidden_layer_has_none():
    assert _build(hidden=7).blocks() is None


def test_own_learners_start_as_the_classifiers():
    alone = {m: torch.nn.Linear(dim, CLASSES, dtype=torch.float64) for m, dim in reversed(DIMS.items())}
    fusion, h = _build(head="own"), _features()
    assert fusion.start_from(alone)
    torch.testing.assert_close(fusion(h), 0.7 * sum(alone[m](h[m]) for m in DIMS))


@pytest.mark.parametrize("options", KINDS[1:])
def test_a_shared_head_cannot_start_as_several_classifiers(options):
    fusion = _build(**options)
    before = {key: value.clone() for key, value in fusion.state_dict().items()}
    assert not fusion.start_from({m: torch.nn.Linear(dim, CLASSES) for m, dim in DIMS.items()})
    assert all(torch.equal(before[key], value) for key, value in fusion.state_dict().items())


def test_lengths_that_agree_need_no_projection():
    names = {name for name, _ in _build(dims={"a": 5, "v": 5}, hidden=7).named_parameters()}
    assert names == {"rate", "common.0.weight", "common.0.bias", "common.2.weight", "common.2.bias"}
