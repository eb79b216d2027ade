"""`auto`: its rule by hand, its cross-validation by hand, and what it may never pick."""

import numpy as np
import pytest
import torch

from ambidex.base.errors import ParamsError
from ambidex.base.folds import folds
from ambidex.decide.allocators import ALLOCATORS, simplest_first
from ambidex.decide.allocators._crossed import splits
from ambidex.decide.allocators.auto import _evidence, _pick
from ambidex.decide.allocators.modality import Modality
from helpers.heldouts import changed, draw, fit, habitual, made, said
from helpers.likelihoods import mean_nll

ALONE, PAIRS = np.arange(4), np.array([0, 0, 1, 1])
PLAIN = [1.3, 1.1, 1.3, 1.1]  # .2 +- .058 above the best
NEAR = [1.3, 0.9, 1.3, 0.9]  # .1 +- .115
WIDE = [0.4, 2.2, 0.4, 2.2]  # .3 +- .52: worse than the plain sum, and too noisy to be told from the best
BEST = [1.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("losses", "units", "allowance", "expected"),
    [
        ([PLAIN, NEAR, BEST], ALONE, 1.0, 1),
        ([PLAIN, NEAR, BEST], PAIRS, 1.0, 1),  # the pairs agree, and two of them are few: .1 +- .105
        ([PLAIN, NEAR, BEST], PAIRS, 0.9, 2),
        ([PLAIN, NEAR, BEST], ALONE, 4.0, 0),
        ([PLAIN, NEAR, BEST], ALONE, 0.0, 2),
        ([PLAIN, WIDE, BEST], ALONE, 1.0, 2),  # never one that a simpler one beats
        ([PLAIN, WIDE, NEAR, BEST], ALONE, 1.0, 2),
        ([WIDE, PLAIN, BEST], ALONE, 1.0, 0),
        ([BEST, BEST, PLAIN], ALONE, 0.0, 0),  # a tie is no reason
        ([PLAIN, PLAIN, BEST], ALONE, 1.0, 2),
        ([PLAIN, NEAR, BEST], np.zeros(4, dtype=int), 1.0, 1),  # one group: .2 +- .061, then .1 +- .122
        ([PLAIN, NEAR, BEST], np.zeros(4, dtype=int), 3.0, 0),
        ([PLAIN, NEAR, BEST], np.zeros(4, dtype=int), 0.0, 2),
    ],
)
def test_the_rule_by_hand(losses, units, allowance, expected):
    assert _pick(np.array(losses), units, allowance) == expected


def test_simplest_first():
    order = sorted(ALLOCATORS.names(), key=simplest_first)
    assert order[:5] == ["uniform", "scale", "confusion", "pooled", "norm"]
    assert order[-3:] == ["typicality", "mixture", "auto"]
    assert len({ALLOCATORS.get(name).rank for name in order}) == len(order)


def test_its_cross_validation_by_hand():
    held = habitual(count=120)
    held = made(held.sources["contributions"], held.labels, [f"g{i // 5}" for i in range(120)])
    fitted = fit("auto", held, candidates=("modality",), folds=3, seed=5, standard_errors=1.0)
    losses, hits = np.zeros((2, 120)), np.zeros((2, 120))
    for rows in folds(held.labels.numpy(), held.groups, 3, 5):
        outside, inside = held.subset(np.setdiff1d(np.arange(120), rows)), held.subset(rows)
        for i, name in enumerate(("uniform", "modality")):
            logits = said(fit(name, outside), inside)
            for n, row in enumerate(rows):
                losses[i, row] = mean_nll(
                    logits[n : n + 1].double().numpy(), inside.labels[n : n + 1].numpy()
                )
                hits[i, row] = logits[n].argmax() == inside.labels[n]
    plain, weighted = fitted.allocator.record["candidates"]
    assert (plain["name"], weighted["name"]) == ("uniform", "modality")
    assert (plain["nll"], weighted["nll"]) == (
        pytest.approx(losses[0].mean()),
        pytest.approx(losses[1].mean(), abs=1e-5),
    )
    assert (plain["accuracy"], weighted["accuracy"]) == tuple(pytest.approx(h) for h in hits.mean(1))
    difference = losses[1] - losses[0]
    by_group = (difference - difference.mean()).reshape(24, 5).sum(1)
    error = np.sqrt(24 / 23 * (by_group**2).sum()) / 120
    assert weighted["nll_difference"] == pytest.approx(difference.mean(), abs=1e-5)
    assert weighted["nll_standard_error"] == pytest.approx(error, abs=1e-5)
    assert fitted.allocator.record["chosen"] == ("modality" if -difference.mean() > error else "uniform")


@pytest.mark.parametrize("wanted", ["uniform", "category", "confusion", "stacking", "gate", "pooled"])
def test_the_one_that_is_picked_is_fitted_on_all_samples(wanted):
    """Whoever is alone with the plain sum, and any gain is enough."""
    held = changed(habitual(), lambda z: z * torch.tensor([0.2, 0.1])[:, None])
    fitted = fit("auto", held, candidates=(wanted,), standard_errors=0.0, folds=2)
    assert fitted.allocator.record["chosen"] == wanted
    alone = fit(wanted, held, folds=2)
    assert (fitted.source, fitted.note) == (alone.source, alone.note)
    assert type(fitted.allocator) is type(alone.allocator)
    for key, value in alone.allocator.state_dict().items():
        assert torch.equal(fitted.allocator.state_dict()[key], value)
    assert {**alone.allocator.record, **fitted.allocator.record} == fitted.allocator.record


def test_candidates_are_judged_and_fitted_with_their_own_parameters():
    held = changed(habitual(), lambda z: z * torch.tensor([0.2, 0.1])[:, None])
    own = {"modality": {"shrinkage": 300.0, "folds": 3}}
    common = {"candidates": ("modality",), "standard_errors": 0.0, "folds": 2}
    tight = fit("auto", held, options=own, **common).allocator
    loose = fit("auto", held, **common).allocator
    alone = fit("modality", held, shrinkage=300.0).allocator
    assert torch.equal(tight.factor, alone.factor)
    assert not torch.equal(loose.factor, alone.factor)
    assert (tight.config.shrinkage, tight.config.folds, loose.config.folds) == (300.0, 3, 2)
    judged, as_shipped = tight.record["candidates"], loose.record["candidates"]
    assert judged[1]["nll"] > as_shipped[1]["nll"] + 1e-3  # held near 1 in the folds, too
    assert [row["options"] for row in judged] == [{}, own["modality"]]
    assert [row["options"] for row in as_shipped] == [{}, {}]


def test_mistakes_in_the_parameters_of_a_candidate_are_one_line():
    held = draw([[2.0] * 3] * 2, 30)
    with pytest.raises(ParamsError, match=r"^evaluate\.options\.norm\.shrinkage: unknown key"):
        fit("auto", held, candidates=("norm",), options={"norm": {"shrinkage": 1.0}})
    with pytest.raises(ParamsError, match="allocator 'norn' does not exist; did you mean 'norm'"):
        fit("auto", held, candidates=("norm",), options={"norn": {}})


def refusable():
    """Contributions that are no classifiers, and probes that are: whoever may read the probes wins."""
    held = draw([[2.0] * 3] * 2)
    return made(-0.1 * held.sources["contributions"], held.labels, held.groups, held.sources["probes"])


def test_one_that_is_refused_is_never_picked():
    kind, names = ALLOCATORS.get("auto"), ("temperature", "stacking", "modality")
    config = kind.Config(candidates=names, folds=2)
    allowed = kind.fit_on(config, refusable())
    assert allowed.allocator.record["chosen"] == "temperature"
    assert allowed.source == "probes"
    assert {row["status"] for row in allowed.allocator.record["candidates"]} == {"tried"}
    refused = kind.fit_on(config, refusable(), "refuse")
    assert refused.allocator.record["chosen"] in ("uniform", "modality")
    rows = {row["name"]: row for row in refused.allocator.record["candidates"]}
    assert {name: row["status"] for name, row in rows.items()} == {
        "uniform": "tried",
        "modality": "tried",
        "temperature": "refused",
        "stacking": "refused",
    }
    assert (rows["temperature"]["source"], "nll" in rows["temperature"]) == (None, False)


def test_its_folds_keep_groups_together():
    held = draw([[2.0] * 3] * 2, 60, group_size=4)
    config = ALLOCATORS.get("auto").Config(folds=4)
    pairs = list(splits(held, config))
    assert sorted(np.concatenate([fold for _, fold in pairs])) == list(range(60))
    for rest, fold in pairs:
        assert sorted([*rest, *fold]) == list(range(60))
        assert not {held.groups[i] for i in rest} & {held.groups[i] for i in fold}


def test_a_single_speaker_leaves_the_plain_sum():
    held = habitual()
    one = made(held.sources["contributions"], held.labels, ["anna"] * 160)
    record = fit("auto", one, folds=2, candidates=("category", "modality")).allocator.record
    assert record["chosen"] == "uniform"
    assert [row["nll_standard_error"] for row in record["candidates"]] == [None] * 3
    many = made(held.sources["contributions"], held.labels)
    assert fit("auto", many, folds=2, candidates=("category",)).allocator.record["chosen"] == "category"


def surprised(mistakes=1):
    """240 samples, sure by 12 nats and right; `mistakes` of them are as sure and wrong."""
    labels = torch.arange(240) % 3
    z = 6.0 * torch.nn.functional.one_hot(labels, 3).float()[:, None].repeat(1, 2, 1)
    z[:mistakes] = z[:mistakes].roll(1, dims=2)
    return z, labels


@pytest.mark.parametrize(
    ("mistakes", "groups", "needed", "expected"),
    [
        (1, 240, 1e9, "uniform"),  # without the fold of the mistake, the others ask for more confidence
        (1, 240, 3.0, "scale"),  # but p[y] = exp(-12) once in 240
        (1, 12, 3.0, "uniform"),  # one speaker in twelve, right in 19 of 20
        (1, 1, 3.0, "uniform"),  # a single speaker
    ],
)
def test_one_mistake_of_great_confidence_softens_the_sum(mistakes, groups, needed, expected):
    z, labels = surprised(mistakes)
    held = made(z, labels, [f"g{i % groups}" for i in range(240)])
    allocator = fit("auto", held, candidates=("scale",), bayes_factor=needed).allocator
    assert allocator.record["chosen"] == expected
    assert allocator.record["decided_by"] == ("bayes factor" if expected == "scale" else "standard error")


def test_a_single_speaker_whom_a_quarter_surprises_softens_the_sum():
    z, labels = surprised(60)
    held = made(z, labels, ["anna"] * 240)
    record = fit("auto", held, candidates=("scale",), standard_errors=1.0).allocator.record
    assert (record["chosen"], record["decided_by"]) == ("scale", "standard error")


def test_the_bayes_factor_only_takes_the_place_of_the_plain_sum():
    z, labels = surprised()
    held = made(z, labels)
    assert fit("auto", held, candidates=("norm",)).allocator.record["chosen"] == "uniform"
    loud = habitual()
    record = fit("auto", loud, candidates=("scale", "category"), folds=2).allocator.record
    assert record["log_bayes_factor"] > np.log(3)
    assert (record["chosen"], record["decided_by"]) == ("category", "standard error")


def test_a_temperature_that_is_right_is_seldom_touched():
    """Labels drawn from the plain sum itself: a Bayes factor of 20 once in 20 draws at most."""
    touched = 0
    for seed in range(60):
        draws = torch.Generator().manual_seed(seed)
        z = 2 * torch.randn((150, 2, 3), generator=draws)
        labels = torch.multinomial(z.sum(1).softmax(1), 1, generator=draws)[:, 0]
        touched += _evidence(made(z, labels), np.arange(150)) > np.log(20)
    assert touched <= 3


def test_candidates_are_fitted_without_the_groups_that_judge_them(monkeypatch):
    seen = []
    fit_it = Modality.fit.__func__

    def spy(cls, config, contributions, labels, groups):
        seen.append((set(groups), len(labels), (config.folds, config.seed)))
        return fit_it(cls, config, contributions, labels, groups)

    monkeypatch.setattr(Modality, "fit", classmethod(spy))
    held = draw([[2.0] * 3] * 2, 60, group_size=6)
    fit("auto", held, candidates=("modality",), folds=5, seed=3)
    everyone = set(held.groups)
    left_out = [everyone - groups for groups, *_ in seen[:5]]
    assert set().union(*left_out) == everyone
    assert sum(map(len, left_out)) == len(everyone)
    assert {config for *_, config in seen} == {(5, 3)}


def test_all_others_are_asked_unless_named():
    held = draw([[2.0] * 3] * 2, 30)
    rows = fit("auto", held, folds=2).allocator.record["candidates"]
    assert [row["name"] for row in rows] == sorted(set(ALLOCATORS.names()) - {"auto"}, key=simplest_first)
    rows = fit("auto", held, candidates=("auto", "norm"), folds=2).allocator.record["candidates"]
    assert [row["name"] for row in rows] == ["uniform", "norm"]
    with pytest.raises(ParamsError, match="allocator 'norn' does not exist; did you mean 'norm'"):
        fit("auto", held, candidates=("norn",))
