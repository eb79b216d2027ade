"""The shared head with entropy weights: weights against SciPy, what is additive, what evaluation makes of it."""

import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy

from ambidex.base.errors import ModelError
from ambidex.configuration.values import Choice
from ambidex.learn.method import METHODS
from ambidex.net.additions.own_heads import OwnHeads
from ambidex.net.contributions.coalitions import MaskedHead, absent_features, shapley_contributions
from ambidex.net.fusion.shared_entropy import SharedEntropy, entropy_weights
from ambidex.net.model import MultimodalNet, load_model, save_model
from helpers.memory_store import MemoryStore, architecture, build

DIMS = {"audio": 6, "visual": 6, "touch": 6}
TWO = {"audio": 4, "visual": 6}


def fusion(dims=DIMS, **options):
    torch.manual_seed(0)
    built = SharedEntropy(SharedEntropy.Config(**options), dims, 4).double()
    with torch.no_grad():
        built.shared.bias.normal_()
    return built


def features(dims=DIMS, batch=7, scale=2.0):
    torch.manual_seed(1)
    return {m: scale * torch.randn(batch, dim, dtype=torch.float64) for m, dim in dims.items()}


def by_hand(built, h):
    """Branches, weights and logits with NumPy and SciPy."""
    weight, bias = built.shared.weight.detach().numpy(), built.shared.bias.detach().numpy()
    z = {m: x.numpy() @ weight.T + bias for m, x in h.items()}
    uncertain = [entropy(softmax(logits, axis=1), axis=1) for logits in z.values()]
    weights = softmax([-e for e in uncertain], axis=0)
    return z, weights, sum(w[:, None] * logits for w, logits in zip(weights, z.values(), strict=True))


def test_weights_are_a_softmax_of_minus_the_entropy_and_sum_to_one():
    built, h = fusion(), features()
    z, weights, logits = by_hand(built, h)
    found = built.branches(h)
    for m in DIMS:
        torch.testing.assert_close(found[m], torch.from_numpy(z[m]))
    given = entropy_weights(torch.stack(list(found.values())))
    torch.testing.assert_close(given, torch.from_numpy(weights))
    torch.testing.assert_close(given.sum(dim=0), torch.ones(7, dtype=torch.float64))
    torch.testing.assert_close(built(h), torch.from_numpy(logits))


def test_who_is_surer_weighs_more_and_who_is_as_sure_as_much():
    sure, unsure, flat = torch.tensor([[9.0, 0, 0]]), torch.tensor([[1.0, 0, 0]]), torch.zeros(1, 3)
    weights = entropy_weights(torch.stack([unsure, sure, flat]))[:, 0]
    assert weights[1] > weights[0] > weights[2] > 0
    torch.testing.assert_close(entropy_weights(torch.stack([sure, sure.flip(1)])), torch.full((2, 1), 0.5))


@pytest.mark.parametrize("large", [1e3, 1e30])
def test_weights_of_any_logits_are_numbers(large):
    weights = entropy_weights(torch.tensor([[[large, 0, -large]], [[0.0, 0, 0]]]))
    torch.testing.assert_close(weights.sum(dim=0), torch.ones(1))
    torch.testing.assert_close(weights[0] / weights[1], torch.tensor([3.0]))  # exp(0) / exp(-log 3)


@pytest.mark.parametrize("options", [{}, {"weights": "fixed"}])
def test_a_prediction_does_not_depend_on_the_batch(options):
    built, h = fusion(**options), features()
    together = built(h)
    for i in range(7):
        torch.testing.assert_close(built({m: x[i : i + 1] for m, x in h.items()})[0], together[i])


def test_of_one_modality_alone_the_logits_are_what_it_says():
    built, h = fusion(), features()
    for m in DIMS:
        assert torch.equal(built({m: h[m]}), built.branches(h)[m])


def test_entropy_weights_make_no_contributions():
    built, h = fusion(), features()
    assert built.has_branches
    assert not built.additive
    assert built.contributions(h) is None
    assert built.blocks() is None
    assert built.fuse(h)[1] is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, (1 / 3, 1 / 3, 1 / 3)), ({"touch": 3.0, "audio": 1.0, "visual": 0.0}, (0.25, 0.0, 0.75))],
)
def test_fixed_weights_are_additive(given, expected):
    built, h = fusion(weights="fixed", fixed=given), features()
    assert built.additive
    z, _, _ = by_hand(built, h)
    parts = {m: torch.from_numpy(w * z[m]) for m, w in zip(DIMS, expected, strict=True)}
    for m, part in built.contributions(h).items():
        torch.testing.assert_close(part, parts[m])
    torch.testing.assert_close(built(h), sum(parts.values()))
    for m, w in zip(DIMS, expected, strict=True):
        torch.testing.assert_close(built.blocks()[m], w * built.shared.weight)
        torch.testing.assert_close(built.branches(h)[m], torch.from_numpy(z[m]))


def test_features_of_another_length_are_projected_where_that_is_asked_for():
    built, h = fusion(TWO, dim=6, weights="fixed"), features(TWO)
    assert [name for name, _ in built.named_parameters()] == [
        "project.audio.weight",
        "shared.weight",
        "shared.bias",
    ]
    projection = built.project["audio"].weight
    common = h["audio"] @ projection.T
    torch.testing.assert_close(built.common("audio", h["audio"]), common)
    expected = common @ built.shared.weight.T + built.shared.bias
    torch.testing.assert_close(built.branches(h)["audio"], expected)
    torch.testing.assert_close(built.blocks()["audio"], 0.5 * built.shared.weight @ projection)


@pytest.mark.parametrize(
    ("dims", "options", "message"),
    [
        (TWO, {}, "features must have one length; found audio 4, visual 6; .* set dim, e.g. 6"),
        (DIMS, {"fixed": dict.fromkeys(DIMS, 1.0)}, "set weights: fixed to use them"),
        (DIMS, {"weights": "fixed", "fixed": {"audio": 1.0}}, "expected a weight .* for each of audio, vis"),
        (DIMS, {"weights": "fixed", "fixed": {**dict.fromkeys(DIMS, 1.0), "audio": -1.0}}, "of 0 or more"),
        (DIMS, {"weights": "fixed", "fixed": dict.fromkeys(DIMS, 0.0)}, "not all 0"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(dims, options, message):
    with pytest.raises(ModelError, match=f"fusion 'shared_entropy': .*{message}") as caught:
        fusion(dims, **options)
    assert "\n" not in str(caught.value)


def model(**options):
    plan = architecture(("audio", "visual", "touch"))
    method = METHODS.get("mla")(METHODS.get("mla").Config(**options))
    torch.manual_seed(0)
    return MultimodalNet(method.architecture(plan)).eval()


def stored(built):
    store = MemoryStore(built.modalities)
    return {m: store.data[m] for m in built.modalities}


def test_saved_and_loaded_it_predicts_the_same(tmp_path):
    for number, options in enumerate(
        ({}, {"weights": "fixed", "fixed": {"audio": 1, "visual": 2, "touch": 1}})
    ):
        built = model(**options)
        save_model(built, tmp_path / str(number))
        loaded = load_model(tmp_path / str(number))
        assert loaded.architecture.fusion == built.architecture.fusion
        inputs = stored(built)
        assert torch.equal(loaded(inputs), built(inputs))
        torch.testing.assert_close(built(inputs), built.fusion(built.encode(inputs)))


@torch.no_grad()
def test_a_coalition_weighs_anew_and_its_shapley_values_sum_to_the_logits():
    built = model()
    h = built.encode(stored(built))
    absent = absent_features({"train": h}, h, "mean")
    without = MaskedHead(built, h, absent)(frozenset({"audio", "touch"}))
    _, _, expected = by_hand(built.fusion, h | {"visual": absent["visual"].expand_as(h["visual"])})
    torch.testing.assert_close(without, torch.from_numpy(expected), rtol=1e-4, atol=1e-5)
    parts = shapley_contributions(built, h, absent)
    torch.testing.assert_close(sum(parts.values()), built.fuse(h)[0], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_branches_are_what_the_head_says_of_each_modality():
    built = model(weights="fixed")
    h = built.encode(stored(built))
    z, _, _ = by_hand(built.fusion, h)
    assert built.has_branches
    for m, said in built.branches(h).items():
        torch.testing.assert_close(said, torch.from_numpy(z[m]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(sum(built.contributions(h).values()), built.fuse(h)[0])


def test_own_heads_stand_before_what_the_head_says():
    method = METHODS.get("multi_task")(METHODS.get("multi_task").Config(heads="own"))
    built = build(method, ("audio", "visual"), fusion="shared_entropy")
    h = built.encode({m: MemoryStore(("audio", "visual")).data[m][:4] for m in ("audio", "visual")})
    for m, said in built.branches(h).items():
        torch.testing.assert_close(said, built.addition(OwnHeads).heads[m](h[m]))


def test_the_fusion_can_be_asked_for_by_name():
    choice = Choice(name="shared_entropy", weights="fixed")
    plan = architecture(("audio", "visual"))
    built = MultimodalNet(type(plan)(plan.inputs, plan.encoders, choice, plan.classes))
    assert built.contributions(built.encode(stored(built))) is not None
