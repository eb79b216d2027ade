"""Methods on samples of which some lack a modality: every number against loops over the samples that have it."""

from itertools import permutations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ambidex.base.errors import ModelError
from ambidex.learn.method import METHODS
from ambidex.learn.methods.opm import OPM
from ambidex.learn.methods.relearning import clustered_purity
from ambidex.learn.methods.smv import valuations
from ambidex.net.encoded import presence
from ambidex.testing import missing, ranks, resuming
from helpers.missing import THREE, encode, has, net, step_of, store_of

ROWS = torch.arange(12)
METHODS_FOR_MISSING = [
    name for name in METHODS.own() if METHODS.get(name).needs.missing and METHODS.get(name).trains
]


def near(found: Tensor, expected: object, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(
        found.double(), torch.as_tensor(expected).double(), rtol=tolerance, atol=tolerance
    )


def chances(z: Tensor, labels: Tensor, i: int) -> float:
    return float(z[i].detach().double().softmax(0)[labels[i]])


def mean_scores(step) -> list[float]:
    """Of each modality: the mean probability of the true class over the samples that have it."""
    found = []
    for m in THREE:
        own = [chances(step.contributions[m], step.labels, i) for i in range(len(step.labels)) if has(i, m)]
        found.append(sum(own) / len(own))
    return found


def ratios(scores: list[float]) -> list[float]:
    return [
        sum(s / other for j, other in enumerate(scores) if j != m) / (len(scores) - 1)
        for m, s in enumerate(scores)
    ]


@pytest.mark.parametrize("name", METHODS_FOR_MISSING)
def test_where_nothing_is_missing_no_bit_changes(tmp_path, name):
    missing.all_present(name, METHODS.get(name).early, tmp_path)


@pytest.mark.parametrize("name", METHODS_FOR_MISSING)
def test_what_stands_for_an_absent_modality_counts_for_nothing(tmp_path, name):
    missing.absent_content(name, METHODS.get(name).early, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS_FOR_MISSING)
def test_micro_batches_train_as_the_whole_batch(tmp_path, name):
    def weights(accumulate: int) -> dict[str, Tensor]:
        settings = {"accumulate": accumulate, "batch_size": ranks.BATCH}
        options = METHODS.get(name).early
        model = missing.trained(name, options, tmp_path / str(accumulate), **settings).model
        return {key: value.clone() for key, value in model.state_dict().items()}

    ranks.expect_near(name, weights(2), weights(1))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["agm", "inforeg", "opm", "pmr", "smv"])
def test_a_stopped_run_goes_on_as_if_it_had_not(tmp_path, monkeypatch, name):
    def engine(folder, method, options, modalities, **settings):
        return missing.prepared(method, options, folder, **settings)

    monkeypatch.setattr(resuming, "engine", engine)
    resuming.stopped(name, METHODS.get(name).early, tmp_path)


@pytest.mark.slow
def test_ranks_train_as_one(tmp_path):
    """Three ranks, of which one has no sample in the last step, and others none that has a modality."""
    jobs = [{**ranks.job(name, METHODS.get(name).early), "fill": "zero"} for name in METHODS_FOR_MISSING]
    for name, job, found in zip(
        METHODS_FOR_MISSING, jobs, ranks.train_in_ranks(tmp_path / "ranks", jobs, 3), strict=True
    ):
        ranks.check_ranks(name, found, ranks.train(tmp_path / name, job))


def test_ogm_ge_compares_means_over_those_that_have_a_modality():
    method, step = step_of("ogm_ge", ROWS, ge=False)
    F.cross_entropy(step.logits, step.labels).backward()
    before = {m: [p.grad.clone() for p in method.edited[m]] for m in THREE}
    method.gradients(step)
    for m, rho in zip(THREE, ratios(mean_scores(step)), strict=True):
        k = 1 - torch.tanh(torch.tensor(0.8 * rho)) if rho > 1 else 1.0
        for p, old in zip(method.edited[m], before[m], strict=True):
            torch.testing.assert_close(p.grad, k * old, rtol=1e-4, atol=1e-7)


def test_ogm_ge_leaves_who_has_no_sample_out_of_the_comparison():
    method, _ = step_of("ogm_ge", ROWS, ge=False)
    scores = torch.tensor([0.0, 2.0, 1.0])
    found = method.coefficients(scores, torch.tensor([False, True, True]))
    near(found, [1.0, float(1 - torch.tanh(torch.tensor(1.6))), 1.0])
    near(method.coefficients(scores, torch.tensor([False, True, False])), [1.0, 1.0, 1.0])


def test_opm_compares_the_modalities_that_a_sample_has():
    method, step = step_of("opm", ROWS, warm_up=0, execute=1.0)
    assert isinstance(method, OPM)
    draws = torch.Generator().manual_seed(0)
    torch.rand((), generator=draws)
    drawn = dict(zip(sorted(THREE), torch.rand((3, 12), generator=draws), strict=True))
    method.survey(step)
    scores = dict(zip(THREE, mean_scores(step), strict=True))
    dropped = 0
    for i in range(12):
        own = [m for m in THREE if has(i, m)]
        rho = dict(zip(own, ratios([scores[m] for m in own]) if len(own) > 1 else [1.0], strict=True))
        q = {m: min(1, 0.5 * (1 + 0.5 * float(torch.tanh(torch.tensor(r - 1))))) if r > 1 else 0.0
             for m, r in rho.items()}  # fmt: skip
        theta = sum(8 * q[m] for m in own) / sum(8 for _ in own)
        for m in own:
            kept = float(drawn[m][i]) >= q[m]
            dropped += not kept
            near(method.factors[m][i], kept / (1 - theta))
        assert any(method.factors[m][i] for m in own)
    assert dropped
    features = method.features(step, step.features)
    for m in presence(step.features):
        gone = ~presence(step.features)[m]
        assert torch.equal(features[m][gone], step.features[m][gone])


def test_inforeg_scores_those_that_have_a_modality():
    method, step = step_of("inforeg", ROWS, unimodal_losses=True)
    run = step.run
    terms = method.objective(step)
    for m in THREE:
        own = [step.contributions[m][i].log_softmax(0)[step.labels[i]] for i in range(12) if has(i, m)]
        near(terms[m].detach(), -sum(own) / 12)
    for p in run.model.parameters():
        p.grad = torch.zeros_like(p)
    method.snapshot = {m: [p.detach() - 1 for p in run.model.own(m)] for m in THREE}
    method.gradients(step)
    scores = []
    for m in THREE:
        own = [
            step.contributions[m][i].detach().log_softmax(0)[step.labels[i]].item()
            for i in range(12)
            if has(i, m)
        ]
        scores.append(sum(own) / len(own))
    for place, m in enumerate(THREE):
        gaps = [scores[place] - s for s in scores if s < scores[place]]
        delta = sum(gaps) / len(gaps) if gaps else 0.0
        a = float(torch.exp(0.9 * torch.tanh(torch.tensor(delta)))) if delta > 0 else 0.0
        near(run.model.own(m)[0].grad, torch.full_like(run.model.own(m)[0], a), 1e-4)


def test_inforeg_averages_traces_over_the_batches_that_have_a_modality():
    method, step = step_of("inforeg", torch.tensor([1, 4, 7]))  # nobody has audio
    _, other = step_of("inforeg", ROWS)
    for given in (step, other):
        model = given.run.model
        for m in THREE:
            for p in model.own(m):
                p.grad = torch.full_like(p, 0.0 if given is step and m == "audio" else 1.0)
        method.gradients(given)
    method.epoch_end(other.run)
    counts = [sum(p.numel() for p in step.run.model.own(m)) for m in THREE]
    near(torch.tensor(method.traces[0]), counts)


def test_smv_plays_each_sample_s_own_game():
    model, store = net("gated").eval(), store_of()
    with torch.no_grad():
        features = encode(model, store, ROWS)
        phi = valuations(model, features, store.labels[ROWS])

        def value(i: int, names: tuple[str, ...]) -> int:
            chosen = {
                m: torch.zeros_like(h[i : i + 1]) if has(i, m) and m not in names else h[i : i + 1]
                for m, h in features.items()
            }
            return len(names) * int(model.fusion(chosen).argmax() == store.labels[i])

        for i in range(12):
            players = [m for m in THREE if has(i, m)]
            orders = list(permutations(players))
            for m in THREE:
                gains = [value(i, o[: o.index(m) + 1]) - value(i, o[: o.index(m)]) for o in orders if m in o]
                near(phi[m][i], sum(gains) / len(orders) if gains else 0.0)


def test_smv_copies_what_a_sample_has(tmp_path):
    for level, extra in (("sample", {}), ("modality", {"part_ratio": 1.0, "alpha": 50.0})):
        given = missing.trained("smv", {"warm_up": 1, "level": level, **extra}, tmp_path / level, epochs=2)
        rows, copied = given.batches.store.rows("train"), 0
        for m, copies in given.method.copies.items():
            assert not copies[~given.batches.store.present[m][rows]].any()
            copied += int(copies.sum())
        assert copied


def test_pmr_means_and_losses_are_of_those_that_have_a_modality():
    method, step = step_of("pmr", ROWS, momentum=0.0)
    run, labels = step.run, step.labels
    method.renew(step.features, labels)
    own = {m: {k: [i for i in range(12) if has(i, m) and labels[i] == k] for k in range(3)} for m in THREE}
    for m in THREE:
        for k in range(3):
            assert bool(method.known[THREE.index(m), k]) == bool(
                own[m][k]
            )  # no sample of the second class has audio
            if own[m][k]:
                near(method.prototypes[m][k], step.features[m][own[m][k]].mean(0).detach())
    method.survey(step)
    p = {}
    for m, known in zip(THREE, method.known, strict=True):
        apart = torch.cdist(step.features[m], method.prototypes[m]).masked_fill(~known, torch.inf)
        p[m] = (-apart).softmax(1).detach().double()
    there = {m: [i for i in range(12) if has(i, m)] for m in THREE}
    scores = [sum(float(p[m][i, labels[i]]) for i in there[m]) / len(there[m]) for m in THREE]
    near(method.beta, [min(1, max(scores) / s - 1) for s in scores], 1e-4)
    near(method.gamma, [min(1, s / min(scores) - 1) for s in scores], 1e-4)
    terms = method.objective(step)
    losses = [sum(-float(p[m][i, labels[i]].log()) for i in there[m]) / 12 for m in THREE]
    near(
        terms["prototype"].detach(),
        sum(b * x for b, x in zip(method.beta.tolist(), losses, strict=True)),
        1e-4,
    )
    entropies = [sum(float(torch.special.entr(p[m][i]).sum()) for i in there[m]) / 12 for m in THREE]
    bonus = sum(g * x for g, x in zip(method.gamma.tolist(), entropies, strict=True))
    near(terms["entropy"].detach(), -0.01 * bonus, 1e-4)
    assert run.epoch == 0


def test_pmr_draws_prototypes_for_every_class_that_a_modality_has():
    method, step = step_of("pmr", ROWS, fraction=0.01)
    store, model, asked = store_of(), step.run.model, []

    def sweep(split: str, rows: Tensor):
        asked.append(rows)
        with torch.no_grad():
            return encode(model, store, rows), store.labels[rows]

    step.run.sweep = sweep
    method.epoch_start(step.run)
    assert method.known.tolist() == [[True, False, True], [True] * 3, [True] * 3]
    assert len(asked[0]) <= 8


def test_a_class_without_a_modality_has_no_prototype_of_it():
    store = store_of()
    store.present["audio"] = store.labels != 2
    method, step = step_of("pmr", ROWS, store)
    method.renew(step.features, step.labels)
    assert method.known.tolist() == [[True, True, False], [True] * 3, [True] * 3]
    method.survey(step)
    terms = method.objective(step)
    sum(terms.values()).backward()
    assert all(value.isfinite() for value in terms.values())
    assert all(p.grad is None or p.grad.isfinite().all() for p in step.run.model.parameters())


def test_relearning_judges_the_samples_that_have_a_modality(tmp_path):
    given = missing.prepared("relearning", {"every": 1}, tmp_path, samples=24, epochs=3)
    given._build()
    found = given.method.diagnose(given.run)
    store, model = given.batches.store, given.model.eval()
    for m in given.run.modalities:
        purity = []
        for split in ("train", "val"):
            rows = store.rows(split)
            rows = rows[store.present[m][rows]]
            with torch.no_grad():
                purity.append(
                    clustered_purity(model.encode_one(m, store.gather(m, rows)), store.labels[rows], 3)
                )
        near(torch.tensor(found[m]), torch.tanh(torch.tensor(3 * abs(purity[0] - purity[1]))))


def test_relearning_needs_samples_with_each_modality_to_judge(tmp_path):
    given = missing.prepared("relearning", {}, tmp_path)
    given.batches.store.present["touch"][given.batches.store.rows("val")[1:]] = False
    with pytest.raises(ModelError, match=r"that has touch in training and in validation; found \d+ and 1$"):
        given.fit()


def test_reconboost_trains_a_turn_on_those_that_have_its_modality():
    method, step = step_of("reconboost", ROWS, consolidation="paper")
    run, fusion = step.run, step.run.model.fusion
    run.epoch = 8  # the second turn, of touch; the one before was audio's
    from ambidex.learn.method import Phase

    step.phase = Phase("boost")
    terms = method.objective(step)
    s = {m: fusion.score(m, step.features[m]).detach().double() for m in THREE}
    boost = memory = 0.0
    for i in range(12):
        if not has(i, "touch"):
            continue
        others = sum((s[m][i] for m in ("audio", "visual") if has(i, m)), torch.zeros(3).double())
        q, y = others.softmax(0), step.labels[i]
        boost -= float((5 - q[y]) * s["touch"][i].log_softmax(0)[y]) / 12 / 3
        if has(i, "audio"):
            memory += float((s["touch"][i].softmax(0) - s["audio"][i].softmax(0)).square().sum()) / 36
    near(terms["boost"].detach(), boost)
    near(terms["consolidation"].detach(), 0.5 * memory)


def test_adaptive_head_weighs_what_a_sample_has():
    method, step = step_of("adaptive_head", ROWS)
    weights = method._weights(step.run)
    with torch.no_grad():
        weights.copy_(torch.rand(weights.shape, generator=torch.Generator().manual_seed(1)))
        step.run.model.fusion.get_parameter("linear.bias").add_(torch.tensor([0.3, -0.6, 0.9]))
    terms = method.objective(step)
    z = step.run.model.fusion.contributions(step.features)
    own = dict.fromkeys(THREE, 0.0)
    plain = weighted = 0.0
    for i in range(12):
        there = [m for m in THREE if has(i, m)]
        y = step.labels[i]
        plain -= float(sum(z[m][i] for m in there).log_softmax(0)[y]) / 12
        weighted -= float(sum(weights[THREE.index(m)] * z[m][i] for m in there).log_softmax(0)[y]) / 12
        for m in there:
            own[m] -= float(z[m][i].log_softmax(0)[y]) / 12
    near(terms["task"].detach(), plain)
    near(terms["category_weights"].detach(), weighted)
    for m in THREE:
        near(terms[m].detach(), own[m])
