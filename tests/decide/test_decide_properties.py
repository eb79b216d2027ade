"""What must hold for every allocator there is."""

import math

import pytest
import torch

from ambidex.base.statistics import nll
from ambidex.decide.allocators import ALLOCATORS
from ambidex.testing import allocators
from helpers.heldouts import THREE, TWO, changed, draw, fit, habitual, made, said

NAMES = ALLOCATORS.own()
EAGER = {
    "auto": {"folds": 3, "standard_errors": 0.0},
    "category": {"strengths": (3.0,)},
    "confusion": {"strengths": (10.0,)},
    "gate": {"steps": (10,)},
    "stacking": {"strengths": (3.0,)},
}
"""options that leave no allocator at the sum that it is shrunk to"""
WITH_PROBES = ("auto", "confusion", "ensemble", "mixture", "pooled")
CLASS_WISE = ("auto", "category", "confusion", "stacking")
NOT_CONVEX = ("auto", "gate", "norm", "uniform")

every = pytest.mark.parametrize("name", NAMES)
auto_slow = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "auto")) for name in NAMES]
)
"""`auto` fits all the others, in every fold"""


def eager(name, held, **options):
    return fit(name, held, **{**EAGER.get(name, {}), **options})


def all_but(*left_out):
    return pytest.mark.parametrize("name", [name for name in NAMES if name not in left_out])


@every
def test_parts_add_up(name):
    fitted, new = allocators.parts(name, EAGER.get(name, {})), habitual(seed=1, count=60)
    differs = not torch.allclose(said(fitted, new), new.sources["contributions"].sum(1), atol=0.05)
    assert differs == (name != "uniform")  # else the other tests say little


@auto_slow
def test_weights_are_the_factors_of_contributions(name):
    allocators.factors(name, EAGER.get(name, {}))


@every
def test_saved_and_loaded_it_says_the_same(name):
    allocators.saved(name, EAGER.get(name, {}))


@all_but("auto", "ensemble")
def test_unfitted_it_is_the_plain_sum(name):
    held = habitual()
    fitted = eager(name, held)
    kind, both = type(fitted.allocator), held.stack("both")
    empty = kind.empty(fitted.allocator.config, 2, 3)
    given = held.stack(kind.source) if kind.source in ("both", "typicality", "opinions") else both[:, :2]
    torch.testing.assert_close(empty(given), held.sources["contributions"].sum(1))


@every
def test_records_are_json_and_prove_convergence(name):
    record = allocators.record(name, EAGER.get(name, {}))
    if name not in NOT_CONVEX:
        assert 0 <= record["gradient_norm"] < 1e-5


@auto_slow
def test_fitted_twice_it_is_the_same(name):
    allocators.repeated(name, EAGER.get(name, {}))


@auto_slow
def test_permuting_modalities_permutes_results(name):
    allocators.order(name, EAGER.get(name, {}))


@all_but("auto", "gate")  # the gate's network starts from random weights for each class
def test_permuting_classes_permutes_logits(name):
    order = torch.tensor([2, 0, 1])
    held, new = habitual(), habitual(seed=1, count=60)
    turned, turned_new = (changed(h, lambda z: z[:, :, order]) for h in (held, new))
    turned = made(
        turned.sources["contributions"], order.argsort()[held.labels], held.groups, turned.sources["probes"]
    )
    one, other = said(eager(name, held), new), said(eager(name, turned), turned_new)
    torch.testing.assert_close(other.softmax(1), one[:, order].softmax(1), atol=1e-4, rtol=0)


@all_but("auto", "category", "stacking")  # a factor by class makes a bias of what softmax does not see
def test_what_softmax_does_not_see_changes_no_probability(name):
    held, new = habitual(), habitual(seed=1, count=60)
    draws = torch.Generator().manual_seed(5)

    def lift(z):
        return z + 3 * torch.randn(*z.shape[:2], 1, generator=draws)

    one, other = said(eager(name, held), new), said(eager(name, changed(held, lift)), changed(new, lift))
    torch.testing.assert_close(other.softmax(1), one.softmax(1), atol=1e-4, rtol=0)


@all_but("auto", "category", "mixture")  # `category` is shrunk at the scale of the contributions
def test_fitted_to_a_common_temperature_it_predicts_the_same(name):
    held, new = habitual(), habitual(seed=1, count=300)
    softer, softer_new = (changed(h, lambda z: z / 2) for h in (held, new))
    options = {} if name in ("uniform", "norm") else {"shrinkage": 0.0}
    if name == "confidence":
        options["beta_shrinkage"] = 0.0
    one, other = eager(name, held, **options), eager(name, softer, **options)
    assert torch.equal(said(one, new).argmax(1), said(other, softer_new).argmax(1))


@all_but("auto", "confidence", "confusion", "gate", "mixture", "stacking")  # these look at how sure one is
def test_a_common_temperature_changes_no_prediction(name):
    fitted, new = eager(name, habitual()), habitual(seed=1, count=300)
    colder = changed(new, lambda z: 7 * z)
    assert torch.equal(said(fitted, new).argmax(1), said(fitted, colder).argmax(1))


@auto_slow
@pytest.mark.parametrize(("modalities", "classes"), allocators.SIZES)
def test_any_number_of_modalities_and_classes(name, modalities, classes):
    allocators.sizes(name, {**EAGER.get(name, {}), "folds": 2}, modalities, classes)


@all_but(*CLASS_WISE)
def test_alone_a_modality_keeps_its_predictions(name):
    held = changed(habitual(), lambda z: z[:, :1])
    held = made(held.sources["contributions"], held.labels, held.groups)
    assert torch.equal(said(eager(name, held), held).argmax(1), held.sources["probes"][:, 0].argmax(1))


@pytest.mark.parametrize("name", [name for name in CLASS_WISE if name != "auto"])
def test_class_wise_ones_change_even_a_single_modality(name):
    held = changed(habitual(), lambda z: z[:, 1:2])
    assert not torch.equal(said(eager(name, held), held).argmax(1), held.sources["probes"][:, 0].argmax(1))


@auto_slow
def test_separable_validation_moves_nothing_far(name):
    """Validation that anyone gets right says nothing of how sure to be: NLL may not run away on harder samples."""
    truth = [[4.0] * 3, [4.0] * 3]
    fitted, new = fit(name, draw(truth, 40, noise=0.1)), draw(truth, 2000, noise=2.5, seed=7)
    assert all(value.isfinite().all() for value in fitted.allocator.state_dict().values())
    assert nll(said(fitted, new), new.labels) < 1.5 * nll(new.sources["contributions"].sum(1), new.labels)
    if (weights := fitted.allocator.weights()) is not None:
        assert weights.abs().max() < 5


@auto_slow
def test_without_evidence_it_is_nearly_the_sum_or_the_even_pool(name):
    held = draw([[0.0] * 3] * 2, 6, noise=0.01)
    fitted = fit(name, held)
    if name in ("norm", "capability", "mixture"):  # these are not shrunk: they count, or mix some that do
        return
    head, probes = (held.sources[s].sum(1) for s in ("contributions", "probes"))
    expected = dict.fromkeys(("pooled", "confusion", "typicality"), (head + probes) / 2) | {
        "ensemble": probes / 2
    }
    torch.testing.assert_close(said(fitted, held), expected.get(name, head), atol=0.02 * 0.03, rtol=0.02)


@auto_slow
def test_a_constant_modality_can_be_replaced_by_its_mean(name):
    held, new = draw(TWO, 90), draw(TWO, 300, seed=1)
    constant = torch.tensor([0.31, -0.17, 0.22])

    def stuck(z):
        return torch.cat([z, constant.expand(len(z), 1, 3)], dim=1)

    def replaced(z):
        return torch.cat(
            [z[:, :2], with_it.sources["contributions"][:, 2:].mean(0).expand(len(z), 1, 3)], dim=1
        )

    with_it, new = changed(held, stuck), changed(new, stuck)
    fitted = eager(name, with_it)
    one, other = said(fitted, new), said(fitted, changed(new, replaced))
    assert one.isfinite().all()
    assert torch.equal(one.argmax(1), other.argmax(1))


@all_but(
    "auto", "capability", "confidence", "gate", "stacking", "ensemble", "mixture"
)  # these count modalities, or their hits
def test_a_modality_that_says_nothing_can_be_left_out(name):
    held, new = draw(TWO, 90), draw(TWO, 300, seed=1)
    silent, silent_new = (
        changed(h, lambda z: torch.cat([z, torch.zeros(len(z), 1, 3)], dim=1)) for h in (held, new)
    )
    one, other = eager(name, held), eager(name, silent)
    torch.testing.assert_close(said(one, new), said(other, silent_new), atol=1e-4, rtol=1e-4)


def few(kept_of_last):
    """Four classes: of class 2 no sample, of class 3 `kept_of_last`."""
    held = draw([[3.0, 0.5, 2.0, 1.0], [0.5, 3.0, 1.0, 2.0]], 80)
    kept = held.labels < 2
    kept[(held.labels == 3).nonzero()[:kept_of_last]] = True
    return held.subset(kept.nonzero()[:, 0])


@auto_slow
@pytest.mark.parametrize("kept", [0, 1])
def test_classes_that_validation_lacks(name, kept):
    held = few(kept)
    fitted = eager(name, held, folds=2)
    new = draw([[3.0, 0.5, 2.0, 1.0], [0.5, 3.0, 1.0, 2.0]], 200, seed=1)
    logits = said(fitted, new)
    assert logits.isfinite().all()
    assert nll(logits, new.labels) < math.log(4)
    if name in ("category", "confusion"):
        assert fitted.allocator.record["fallback_classes"] == [2, 3]


def test_category_keeps_the_modality_weight_where_samples_are_too_few():
    held = few(1)
    fitted, anchor = fit("category", held).allocator.factor, fit("modality", held).allocator.factor
    torch.testing.assert_close(fitted[:, 2:], anchor[:, 2:])
    assert not torch.allclose(fitted[:, :2], anchor[:, :2])


@auto_slow
@pytest.mark.parametrize("count", [2, 3])
def test_two_samples_are_enough_to_run(name, count):
    allocators.few(name, {}, count)


@all_but("auto")
def test_even_one_sample_is(name):
    assert said(fit(name, draw(THREE, 1)), draw(THREE, 30, seed=1)).isfinite().all()
