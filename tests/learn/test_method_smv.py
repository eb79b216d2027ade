"""SMV: contributions by orders of arrival, copies by hand, and what an epoch on copies may and may not touch."""

import csv
from itertools import permutations, product
from math import tanh
from types import SimpleNamespace

import pytest
import torch

from ambidex.base.errors import ModelError
from ambidex.configuration.values import Choice
from ambidex.learn.loop.batches import split_batches
from ambidex.learn.loop.resample import Resample
from ambidex.learn.methods.smv import valuations
from ambidex.net.model import Architecture
from helpers.memory_store import MemoryStore, build, engine, make_method

TWO = ("audio", "visual")
THREE = ("audio", "visual", "touch")
EARLY = {"warm_up": 1}
COPIES = {1.5: 0, 1.0: 0, 0.5: 1, 0.0: 2, -0.5: 3}
"""n(phi) of the paper, for two modalities"""


def _values(model, features, labels):
    """v(C) of each sample: the head asked once per coalition, the others' features zero."""
    names = list(features)
    found = {}
    for chosen in product([False, True], repeat=len(names)):
        kept = {m: h if here else h * 0 for (m, h), here in zip(features.items(), chosen, strict=True)}
        with torch.no_grad():
            right = model.fusion(kept).argmax(1) == labels
        found[frozenset(m for m, here in zip(names, chosen, strict=True) if here)] = right.tolist()
    return [{c: len(c) * right[i] for c, right in found.items()} for i in range(len(labels))]


def _contributions(values, names):
    """Mean over all orders of arrival of what each modality adds, sample by sample."""
    phi = {m: [] for m in names}
    orders = list(permutations(names))
    for game in values:
        for m in names:
            gains = [game[frozenset(o[: o.index(m) + 1])] - game[frozenset(o[: o.index(m)])] for o in orders]
            phi[m].append(sum(gains) / len(orders))
    return phi


def _problem(modalities, fusion="concat", samples=300):
    """A random head on random features: some samples right, some wrong, in every combination."""
    model = build(make_method("joint"), modalities, fusion).eval()
    draws = torch.Generator().manual_seed(3)
    features = {m: torch.randn(samples, 8, generator=draws) for m in modalities}
    with torch.no_grad():
        labels = model.fusion(features).argmax(1)
    guesses = torch.randint(0, 3, (samples,), generator=draws)
    return model, features, torch.where(torch.arange(samples) % 2 == 0, labels, guesses)


@pytest.mark.parametrize("fusion", ["concat", "sum", "film", "gated"])
@pytest.mark.parametrize("modalities", [TWO, THREE])
def test_contributions_are_those_of_all_orders_of_arrival(modalities, fusion):
    model, features, labels = _problem(modalities, fusion)
    found = valuations(model, features, labels)
    values = _values(model, features, labels)
    expected = _contributions(values, modalities)
    assert len({tuple(game.values()) for game in values}) > 5
    for m in modalities:
        assert found[m].tolist() == pytest.approx(expected[m], abs=1e-12)


@pytest.mark.parametrize("modalities", [TWO, THREE])
def test_contributions_add_up_to_the_number_of_modalities_where_the_prediction_is_right(modalities):
    model, features, labels = _problem(modalities)
    total = torch.stack(list(valuations(model, features, labels).values())).sum(0)
    with torch.no_grad():
        right = model.fusion(features).argmax(1) == labels
    assert right.any()
    assert not right.all()
    torch.testing.assert_close(total, right * float(len(modalities)), check_dtype=False)


def test_interchangeable_modalities_contribute_alike():
    model, features, labels = _problem(TWO)
    features = dict.fromkeys(TWO, features["audio"])
    with torch.no_grad():
        model.fusion.linear.weight[:, 8:] = model.fusion.linear.weight[:, :8]
    found = valuations(model, features, labels)
    assert torch.equal(found["audio"], found["visual"])


def _by_hand(right_alone, right_together):
    """phi_m of two modalities: (v_m + v_both - v_other) / 2."""
    both = 2 * right_together
    a, v = right_alone
    return (a + both - v) / 2, (v + both - a) / 2


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("alone", list(product([False, True], repeat=2)))
def test_copies_of_two_modalities(alone, together):
    """A right prediction costs a copy where exactly one modality is right alone, a wrong one always four."""
    phi = _by_hand(alone, together)
    copies = make_method("smv").by_sample(
        {m: torch.tensor([p], dtype=torch.float64) for m, p in zip(TWO, phi, strict=True)}
    )
    found = [int(copies[m]) for m in TWO]
    assert found == [COPIES[p] for p in phi]
    assert sum(found) == (int(alone[0] != alone[1]) if together else 4)


class _Head:
    """Says which coalitions are right on its one sample, whose label is 1."""

    def __init__(self, modalities, right):
        self.modalities, self.right = modalities, right

    def contributions(self, features):
        return None

    def fuse(self, features):
        seen = frozenset(m for m, h in features.items() if h.any())
        return torch.eye(2)[[int(self.right(seen))]], None


@pytest.mark.parametrize("count", [2, 3, 4, 6])
@pytest.mark.parametrize(("right", "phi", "copies"), [(True, 1.0, 0), (False, 0.0, 2)])
def test_all_right_gives_no_copy_and_all_wrong_two_of_each(count, right, phi, copies):
    names = tuple("abcdef"[:count])
    features = {m: torch.ones(1, 2) for m in names}
    found = valuations(_Head(names, lambda seen: right), features, torch.tensor([1]))
    assert all(value.item() == pytest.approx(phi, abs=1e-9) for value in found.values())
    assert [int(n) for n in make_method("smv").by_sample(found).values()] == [copies] * count


def test_a_coalition_counts_for_its_size():
    """Right with both and with each alone: 1 each. Were a right answer worth 1 whoever gives it, it were 0.5 each."""
    head = _Head(TWO, lambda seen: bool(seen))
    found = valuations(head, {m: torch.ones(1, 2) for m in TWO}, torch.tensor([1]))
    assert [value.item() for value in found.values()] == [1.0, 1.0]


def _watched(tmp_path, options=EARLY, modalities=TWO, **settings):
    """Train; for each valued epoch N + copies by the oracle, and for each epoch the entries that were served."""
    trained = engine(tmp_path, "smv", options, modalities, **({"epochs": 4} | settings))
    method, store = trained.method, MemoryStore(modalities)
    valued, served = {}, {}
    end, features = method.epoch_end, method.features

    def spy_end(run):
        before = method.copies
        end(run)
        if method.copies is not before:
            still, labels = run.sweep("train")
            valued[run.epoch] = (_values(run.model, still, labels), dict(method.copies))

    def spy_features(step, given):
        after = features(step, given)
        entries = served.setdefault(step.run.epoch, [])
        for i, label in enumerate(step.labels.tolist()):
            same = [bool((after[m][i] == given[m][i]).all()) for m in modalities]
            keep = [True] * len(modalities) if step.keep is None else step.keep[i].tolist()
            entries.append((label, step.inputs, i, tuple(keep)))
            for m, kept, unchanged in zip(modalities, keep, same, strict=True):
                assert unchanged or (not kept and not after[m][i].any())
        return after

    method.epoch_end, method.features = spy_end, spy_features
    trained.fit()
    rows = {}
    for epoch, entries in served.items():
        rows[epoch] = [(_row(store, inputs, i, modalities), keep) for _, inputs, i, keep in entries]
    return trained, valued, rows


def _row(store, inputs, i, modalities):
    """Which training sample this is, by its inputs."""
    for row in store.rows("train").tolist():
        if all(torch.equal(inputs[m][i], store.data[m][row]) for m in modalities):
            return row
    raise AssertionError("not a training sample")


@pytest.mark.parametrize("modalities", [TWO, THREE])
def test_every_epoch_trains_on_all_samples_and_on_copies_by_its_own_valuation(tmp_path, modalities):
    """From inputs and features of the batches alone: the entries are those that the oracle asks for, anew each time."""
    _, valued, rows = _watched(tmp_path, modalities=modalities, epochs=5)
    assert sorted(valued) == [0, 1, 2, 3]  # no training follows the last epoch
    whole = (True,) * len(modalities)
    assert sorted(rows[0]) == [(row, whole) for row in range(24)]
    sizes = set()
    for epoch in (1, 2, 3, 4):
        phi = _contributions(valued[epoch - 1][0], modalities)
        expected = [(row, whole) for row in range(24)]
        for m in modalities:
            alone = tuple(other == m for other in modalities)
            for row, value in enumerate(phi[m]):
                times = sum(value < limit - 1e-9 for limit in (1.0, 0.4, -0.1))
                expected += [(row, alone)] * times
        assert sorted(rows[epoch]) == sorted(expected)
        sizes.add(len(expected))
    assert len(sizes) > 1


def test_the_epochs_length_follows_from_who_is_right(tmp_path):
    trained, valued, rows = _watched(tmp_path, epochs=3)
    for epoch in (0, 1):
        length = 24
        for game in valued[epoch][0]:
            alone = [game[frozenset({m})] for m in TWO]
            length += (alone[0] != alone[1]) if game[frozenset(TWO)] else 4
        assert len(rows[epoch + 1]) == length
        assert trained.state.history[epoch + 1]["train/samples"] == length
    assert "train/samples" not in trained.state.history[0]
    with (tmp_path / "history.csv").open() as stream:
        assert [row["train/samples"] for row in csv.DictReader(stream)] == [
            "",
            *[str(len(rows[e])) for e in (1, 2)],
        ]
    assert trained.state.number == sum(len(split_batches(torch.arange(len(rows[e])), 8)) for e in range(3))


@pytest.mark.parametrize("modalities", [TWO, THREE])
def test_a_feature_that_is_not_kept_has_no_gradient(tmp_path, modalities):
    trained = engine(tmp_path, "smv", EARLY, modalities, epochs=2)
    method, given = trained.method, []
    features = method.features

    def spy(step, before):
        for h in before.values():
            h.retain_grad()
        given.append((before, step.keep))
        return features(step, before)

    method.features = spy
    trained.fit()
    counts = {True: 0, False: 0}
    for before, keep in given:
        for j, h in enumerate(before.values()) if keep is not None else ():
            for i, kept in enumerate(keep[:, j].tolist()):
                assert bool(h.grad[i].any()) <= kept
                counts[kept] += 1
    assert min(counts.values()) > 0


def test_copies_of_one_modality_leave_the_others_encoder_alone(tmp_path):
    """After an epoch as ever one of copies that keep visual alone: audio's weights stay, its batch norm sees them."""
    trained = engine(tmp_path, "smv", EARLY, epochs=2, selection="last", weight_decay=0.0, momentum=0.0)
    copies = Resample(torch.arange(24), torch.tensor([False, True]).expand(24, 2))
    trained.method.resample = lambda run: copies if run.epoch == 1 else None
    states = []
    trained.on_epoch = lambda epoch: states.append(
        {k: v.clone() for k, v in trained.model.state_dict().items()}
    )
    trained.fit()
    before, after = states
    moved = {name for name, value in before.items() if not torch.equal(after[name], value)}
    weights = {name for name, _ in trained.model.named_parameters()}
    assert not {name for name in moved & weights if ".audio." in name}
    assert {name for name in moved & weights if ".visual." in name}
    assert {name for name in moved if ".audio." in name and "running_mean" in name}


@pytest.mark.parametrize("level", ["sample", "modality"])
def test_the_warm_up_is_joint_training_to_the_bit(tmp_path, level):
    """Up to the last step of the fifth epoch, and the sweep after it leaves no trace in the random numbers."""
    found = []
    for name, options in (("joint", {}), ("smv", {"level": level})):
        trained = engine(
            tmp_path / name, name, options, THREE, epochs=6, selection="last"
        )  # touch has dropout
        kept = {}

        def keep(epoch, trained=trained, kept=kept):
            state = {key: value.clone() for key, value in trained.model.state_dict().items()}
            kept[epoch] = state | {"random": torch.get_rng_state()}

        trained.on_epoch = keep
        trained.fit()
        found.append(kept)
    joint, smv = found
    for epoch in range(5):
        assert all(torch.equal(smv[epoch][key], value) for key, value in joint[epoch].items())
    assert not all(torch.equal(smv[5][key], value) for key, value in joint[5].items())


def test_valuation_is_in_evaluation_mode_and_without_augmentation(tmp_path):
    trained = engine(tmp_path, "smv", EARLY, THREE, epochs=3)
    modes, sweep = [], []
    trained.fit()
    fuse = trained.model.contributions
    trained.model.contributions = lambda h: (modes.append(trained.model.training), fuse(h))[1]
    original = trained.run.sweep
    trained.run.sweep = lambda split: (sweep.append(split), original(split))[1]
    trained.model.train()
    trained.run.epoch = 1
    trained.method.epoch_end(trained.run)
    assert sweep == ["train"]
    assert set(modes) == {False}
    assert trained.model.training


@pytest.mark.parametrize(
    ("options", "gap", "modalities", "expected"),
    [
        ({}, 0.6, 2, 0.4),
        ({"alpha": 0.5}, 0.6, 2, 0.2),
        ({}, -0.6, 2, 0.0),
        ({"alpha": 9.0}, 0.6, 2, 1.0),
        ({}, 0.6, 3, 0.3),
        ({"shape": "tanh", "alpha": 2.0}, 0.6, 2, tanh(0.8)),
        ({"shape": "square", "alpha": 2.0}, 0.375, 2, 0.25),
    ],
)
def test_the_part_that_is_copied_at_modality_level(options, gap, modalities, expected):
    method = make_method("smv", {"level": "modality"} | options)
    assert method.rate(gap, modalities) == pytest.approx(expected, abs=1e-12)


def _run(seed=0):
    everybody = lambda split, modality, samples: torch.ones(samples, dtype=torch.bool)  # noqa: E731
    return SimpleNamespace(rng=torch.Generator().manual_seed(seed), having=everybody)


def _column(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_the_weaker_modality_is_kept_in_samples_drawn_without_repeat():
    """Means 1.25 and 0.5 over all: p = 2/3 * 0.75 = 0.5, of 8 samples 4."""
    phi = {"audio": _column(*[1.5, 1.0] * 4), "visual": _column(*[0.5] * 8)}
    method = make_method("smv", {"level": "modality", "part_ratio": 1.0})
    seen = set()
    for seed in range(20):
        copies = method.by_modality(phi, _run(seed))
        assert not copies["audio"].any()
        assert sorted(copies["visual"].tolist()) == [0] * 4 + [1] * 4
        seen.add(tuple(copies["visual"].tolist()))
    assert len(seen) > 10


def test_of_three_modalities_those_below_the_mean_of_the_others_are_kept():
    """Gaps: touch (1.2 + 0.9) / 2 - 0.3 = 0.75, visual (1.2 + 0.3) / 2 - 0.9 < 0; x = 2/4 of it."""
    phi = {"audio": _column(*[1.2] * 16), "visual": _column(*[0.9] * 16), "touch": _column(*[0.3] * 16)}
    method = make_method("smv", {"level": "modality"})
    copies = method.by_modality(phi, _run())
    assert {m: int(n.sum()) for m, n in copies.items()} == {
        "audio": 0,
        "visual": 0,
        "touch": 6,
    }  # 0.375 of 16


def test_only_a_part_of_the_samples_is_asked():
    """One of 5 samples decides: a gap of 1.5 if it is the first, else of 0."""
    phi = {"audio": _column(1.5, 0, 0, 0, 0), "visual": _column(0, 0, 0, 0, 0)}
    method = make_method("smv", {"level": "modality", "part_ratio": 0.2})
    found = [int(method.by_modality(phi, _run(seed))["visual"].sum()) for seed in range(300)]
    assert set(found) == {0, 5}
    assert found.count(5) / 300 == pytest.approx(0.2, abs=0.07)  # standard error 0.023


def test_modality_level_trains_on_what_it_drew(tmp_path):
    options = {"warm_up": 1, "level": "modality", "part_ratio": 1.0}
    _, valued, rows = _watched(tmp_path, options, epochs=4)
    drawn = 0
    for epoch in (1, 2, 3):
        values, copies = valued[epoch - 1]
        phi = _contributions(values, TWO)
        audio, visual = (sum(phi[m]) / 24 for m in TWO)
        number = int(2 / 3 * abs(audio - visual) * 24 + 1e-9)
        alone = (audio < visual, visual < audio)
        expected = sorted((row, (True, True)) for row in range(24))
        assert sorted(entry for entry in rows[epoch] if all(entry[1])) == expected
        extra = [entry for entry in rows[epoch] if not all(entry[1])]
        assert len(set(extra)) == len(extra) == number == sum(int(n.sum()) for n in copies.values())
        assert {keep for _, keep in extra} <= {alone}
        drawn += number
    assert drawn > 0


def test_bf16_values_what_single_precision_sees(tmp_path):
    _, valued, rows = _watched(tmp_path, precision="bf16", epochs=3)
    for epoch in (0, 1):
        values, copies = valued[epoch]
        phi = _contributions(values, TWO)
        assert {m: n.tolist() for m, n in copies.items()} == {m: [COPIES[p] for p in phi[m]] for m in TWO}
        assert len(rows[epoch + 1]) == 24 + sum(int(n.sum()) for n in copies.values())


def test_it_costs_one_still_pass_an_epoch_and_one_pass_per_step(tmp_path):
    """24 samples are one sweep of 32; without validation nothing else is still."""
    trained = engine(tmp_path, "smv", EARLY, epochs=4, selection="last")
    trained.select_split, calls = None, []
    trained.model.encoders["audio"].register_forward_hook(
        lambda *given: calls.append(torch.is_grad_enabled())
    )
    trained.fit()
    assert (sum(calls), len(calls) - sum(calls)) == (trained.state.number, 3)


@pytest.mark.parametrize(("count", "words"), [(1, "at least 2"), (7, "works on at most 6")])
def test_other_numbers_of_modalities_are_refused_in_one_line(count, words):
    encoders = dict.fromkeys("abcdefg"[:count], Choice(name="mlp"))
    with pytest.raises(ModelError, match=f"method smv: .*{words}") as caught:
        make_method("smv").check(Architecture({}, encoders, Choice(name="concat"), ()), frozen=False)
    assert "\n" not in str(caught.value)


def test_the_checkpoint_keeps_what_the_next_epoch_trains_on(tmp_path):
    trained, valued, _ = _watched(tmp_path, epochs=3)
    other = make_method("smv", EARLY)
    other.load_state_dict(trained.method.state_dict())
    mine, again = other.resample(trained.run), trained.method.resample(trained.run)
    assert torch.equal(mine.rows, again.rows)
    assert torch.equal(mine.keep, again.keep)
    assert len(mine) == 24 + sum(int(n.sum()) for n in valued[1][1].values())
    assert mine.keep[:24].all()
    assert (mine.keep[24:].sum(1) == 1).all()
