"""Head: coalitions and Shapley values ask a head for nothing else than what the protocol says."""

import pytest
import torch

from ambidex.decide.layer import DecisionLayer, DecisionSpec
from ambidex.decide.repaired import Repaired
from ambidex.net.additions.own_heads import OwnHeads
from ambidex.net.contributions.coalitions import MaskedHead, shapley_contributions
from ambidex.net.fusion import FUSIONS
from ambidex.net.head import Head
from ambidex.net.model import MultimodalNet
from helpers.memory_store import architecture

NAMES = ("touch", "audio")


class Product:
    """logits [N, 1] = h_a h_b: no module, no classes by name, nothing but a head."""

    classes = 1

    def contributions(self, features):
        return None

    def fuse(self, features):
        return features["a"] * features["b"], None

    def branches(self, features):
        return None


def features(dim=8, count=5, seed=0):
    draws = torch.Generator().manual_seed(seed)
    return {m: torch.randn(count, dim, generator=draws) for m in NAMES}


def net(fusion="concat", heads=False):
    torch.manual_seed(0)
    plain = architecture(NAMES, fusion)
    return MultimodalNet(plain.adding("own_heads") if heads else plain).eval()


def test_shapley_values_of_a_head_that_is_no_model_by_hand():
    head: Head = Product()
    h = {"a": torch.tensor([[2.0], [3.0]]), "b": torch.tensor([[5.0], [-1.0]])}
    background = {"a": torch.tensor([[1.0]]), "b": torch.tensor([[1.0]])}
    # phi_a = (v(a) - v()) / 2 + (v(ab) - v(b)) / 2, and v() / 2 on top; v() = 1, v(a) = a, v(b) = b, v(ab) = a b
    found = shapley_contributions(head, h, background)
    assert found["a"].flatten().tolist() == [
        (2 - 1) / 2 + (10 - 5) / 2 + 0.5,
        (3 - 1) / 2 + (-3 + 1) / 2 + 0.5,
    ]
    assert found["b"].flatten().tolist() == [
        (5 - 1) / 2 + (10 - 2) / 2 + 0.5,
        (-1 - 1) / 2 + (-3 - 3) / 2 + 0.5,
    ]
    assert MaskedHead(head, h, background)(frozenset({"a"})).flatten().tolist() == [2.0, 3.0]


@torch.no_grad()
@pytest.mark.parametrize("fusion", FUSIONS.names())
def test_a_fusion_is_a_head_by_itself_and_says_what_its_model_does(fusion):
    model, h = net(fusion), features()
    head: Head = model.fusion
    assert head.classes == model.classes == len(model.architecture.classes)
    logits, contributions = head.fuse(h)
    assert torch.equal(logits, model.fuse(h)[0])
    for ours, theirs in ((contributions, model.contributions(h)), (head.branches(h), model.branches(h))):
        assert (ours is None) == (theirs is None)
        assert all(torch.equal(ours[m], theirs[m]) for m in ours or ())


@torch.no_grad()
def test_a_repaired_net_is_a_head_whose_contributions_are_the_allocated_ones():
    model, h = net(heads=True), features()
    layer = DecisionLayer(DecisionSpec("modality", {}, "own_heads"), model.fusion.dims, model.classes)
    layer.allocator.factor.copy_(torch.tensor([[2.0], [0.5]]).expand(2, model.classes))
    head: Head = Repaired(model, layer)
    heads = model.addition(OwnHeads).heads
    own = {m: h[m] @ heads[m].weight.T + heads[m].bias for m in NAMES}
    logits, parts = head.fuse(h)
    torch.testing.assert_close(logits, 2 * own["touch"] + 0.5 * own["audio"])
    torch.testing.assert_close(parts["audio"], 0.5 * own["audio"])
    assert head.classes == model.classes
    assert all(torch.equal(head.contributions(h)[m], parts[m]) for m in NAMES)
    assert all(torch.equal(head.branches(h)[m], model.branches(h)[m]) for m in NAMES)
