"""Group-aware splitting against brute force, and what it promises."""

from itertools import product

import numpy as np
import pytest

from ambidex.base.errors import DataError
from ambidex.configuration.params import Prepare
from ambidex.data.datasets import _splitting
from ambidex.data.datasets._splitting import fill_splits, split_cost, split_groups
from ambidex.data.manifest import Row

SHARES = {"train": 0.6, "val": 0.15, "test": 0.25}


def draw(seed, groups=12, classes=3, samples=200):
    rng = np.random.default_rng(seed)
    return [f"c{k}" for k in rng.integers(classes, size=samples)], [
        f"g{k}" for k in rng.integers(groups, size=samples)
    ]


def table(labels, groups, splits):
    """Samples by split and class, counted one by one."""
    classes = sorted(set(labels))
    counts = np.zeros((len(SHARES), len(classes)))
    for label, split in zip(labels, splits, strict=True):
        counts[list(SHARES).index(split), classes.index(label)] += 1
    return counts


def rows_of(labels, groups, splits=None):
    splits = splits or [""] * len(labels)
    return [
        Row(f"s{k}", label, split, group, {"audio": "a.wav"})
        for k, (label, group, split) in enumerate(zip(labels, groups, splits, strict=True))
    ]


@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_whole_and_shares_are_met(seed):
    labels, groups = draw(seed, groups=30, samples=600)
    splits = split_groups(labels, groups, SHARES, seed)
    homes = {group: {s for g, s in zip(groups, splits, strict=True) if g == group} for group in groups}
    assert all(len(home) == 1 for home in homes.values())
    counts = table(labels, groups, splits)
    wanted = np.array(list(SHARES.values()))[:, None] * counts.sum(axis=0)
    assert np.abs(counts - wanted).max() <= 0.03 * counts.sum(axis=0).max()


def test_single_samples_are_split_to_the_nearest_count():
    labels = ["a"] * 40 + ["b"] * 60
    splits = split_groups(labels, [str(k) for k in range(100)], SHARES, 0)
    assert table(labels, None, splits).tolist() == [[24, 36], [6, 9], [10, 15]]


@pytest.mark.parametrize(("seed", "limit"), [(0, None), (1, None), (0, 0), (2, 0), (3, 0), (4, 0)])
def test_it_is_the_best_of_all_assignments_or_near_it(seed, limit, monkeypatch):
    labels, groups = draw(seed, groups=6, classes=2, samples=200)
    if limit is not None:  # leave the exhaustive way out
        monkeypatch.setattr(_splitting, "_TRY_ALL_LIMIT", limit)
    names = sorted(set(groups))
    shares = np.array(list(SHARES.values()))

    def cost(splits):
        return split_cost(table(labels, groups, splits), shares)

    best = min(
        cost([dict(zip(names, choice, strict=True))[g] for g in groups])
        for choice in product(SHARES, repeat=len(names))
    )
    assert (
        cost(split_groups(labels, groups, SHARES, seed)) <= (best if limit is None else 2 * best + 0.5) + 1e-9
    )


def test_equal_seeds_give_equal_splits_and_others_differ():
    labels, groups = draw(0, groups=40)
    first = split_groups(labels, groups, SHARES, 0)
    assert first == split_groups(labels, groups, SHARES, 0)
    assert any(first != split_groups(labels, groups, SHARES, seed) for seed in (1, 2, 3))


def test_the_order_of_the_rows_does_not_matter():
    labels, groups = draw(3)
    order = np.random.default_rng(0).permutation(len(labels))
    straight = split_groups(labels, groups, SHARES, 0)
    shuffled = split_groups([labels[k] for k in order], [groups[k] for k in order], SHARES, 0)
    assert [straight[k] for k in order] == shuffled


def test_a_rare_class_goes_to_train():
    labels = ["rare"] * 2 + ["often"] * 60
    groups = ["g0"] * 2 + [f"g{k % 10}" for k in range(60)]
    for seed in range(5):
        assert split_groups(labels, groups, SHARES, seed)[0] == "train"


@pytest.mark.parametrize("limit", [10_000, 0])
def test_a_class_in_one_group_goes_to_train_whatever_the_shares(limit, monkeypatch):
    """Without its rare sample g0 is exactly the test share."""
    monkeypatch.setattr(_splitting, "_TRY_ALL_LIMIT", limit)
    labels = ["often"] * 100 + ["rare"]
    groups = ["g0"] * 25 + ["g1"] * 60 + ["g2"] * 15 + ["g0"]
    splits = split_groups(labels, groups, SHARES, 0)
    assert splits[-1] == "train"
    assert set(splits) == set(SHARES)


def test_three_groups_fill_three_splits():
    labels, groups = ["a", "b"] * 30, [f"g{k // 20}" for k in range(60)]
    assert set(split_groups(labels, groups, SHARES, 0)) == set(SHARES)


def test_two_groups_are_too_few():
    with pytest.raises(DataError, match=r"whole groups: 2 group\(s\) exist \(x, y\), at least 3 are needed"):
        split_groups(["a", "b"] * 5, ["x"] * 5 + ["y"] * 5, SHARES, 0)


def test_missing_val_is_carved_out_of_train_only():
    labels, groups = draw(1, groups=20, samples=400)
    given = ["test" if group in ("g0", "g1", "g2") else "train" for group in groups]
    rows, notes = fill_splits(rows_of(labels, groups, given), Prepare(val_fraction=0.25))
    assert notes == ["val carved out of train by whole groups"]
    assert [r.split == "test" for r in rows] == [s == "test" for s in given]
    val = {r.group for r in rows if r.split == "val"}
    assert val
    assert not val & {r.group for r in rows if r.split == "train"}
    assert sum(r.split == "val" for r in rows) == pytest.approx(0.25 * given.count("train"), rel=0.15)


def test_carving_without_regard_to_groups():
    labels, groups = draw(2, groups=3, samples=300)
    given = ["test" if k % 5 == 0 else "train" for k in range(300)]
    rows, _ = fill_splits(rows_of(labels, groups, given), Prepare(), by_group=False)
    assert {r.group for r in rows if r.split == "val"} == set(groups)


def test_given_splits_stay():
    rows = rows_of(["a"] * 3, ["x", "y", "z"], ["train", "val", "test"])
    filled, notes = fill_splits(rows, Prepare())
    assert (list(filled), notes) == (rows, [])


def test_some_splits_given_and_some_not():
    with pytest.raises(DataError, match="sample 's1': column 'split' is empty, other rows have one"):
        fill_splits(rows_of(["a"] * 3, ["x", "y", "z"], ["train", "", "test"]), Prepare())


def test_no_train_at_all():
    with pytest.raises(DataError, match="no row has split 'train', found only test, val"):
        fill_splits(rows_of(["a"] * 2, ["x", "y"], ["val", "test"]), Prepare())


def members(groups, splits):
    return [len({g for g, s in zip(groups, splits, strict=True) if s == name}) for name in SHARES]


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (3, [1, 1, 1]),
        (5, [3, 1, 1]),
        (6, [2, 2, 2]),
        (7, [3, 2, 2]),
        (8, [4, 2, 2]),
        (9, [5, 2, 2]),
        (10, [4, 3, 3]),
        (11, [5, 3, 3]),
        (12, [6, 3, 3]),
        (24, [14, 4, 6]),
    ],
)
def test_three_groups_validate_and_test_where_train_keeps_enough(groups, expected):
    labels, names = [f"c{k % 3}" for k in range(groups * 30)], [f"g{k // 30}" for k in range(groups * 30)]
    for seed in range(3):
        assert members(names, split_groups(labels, names, SHARES, seed, fewest=3)) == expected


def _shares_hold(labels, groups, choice, floor):
    """By the words of the rule for two groups: these, and half of its share and every class left to train."""
    if min(choice.count("val"), choice.count("test")) < floor:
        return False
    own = dict(zip(sorted(set(groups)), choice, strict=True))
    kept = [label for label, group in zip(labels, groups, strict=True) if own[group] == "train"]
    return set(kept) == set(labels) and len(kept) >= 1 / 2 * SHARES["train"] * len(labels) - 1e-9


@pytest.mark.parametrize("seed", range(6))
def test_two_groups_are_held_out_exactly_where_that_is_possible_at_all(seed):
    """Groups of very different sizes, against all assignments."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 60, size=7)
    groups = [f"g{k}" for k, size in enumerate(sizes) for _ in range(size)]
    labels = [f"c{k}" for k in rng.integers(3, size=len(groups))]
    possible = any(_shares_hold(labels, groups, choice, 2) for choice in product(SHARES, repeat=7))
    splits = split_groups(labels, groups, SHARES, seed, fewest=2)
    own = dict(zip(groups, splits, strict=True))
    assert _shares_hold(labels, groups, [own[g] for g in sorted(set(groups))], 2) == possible


def test_a_split_that_has_enough_groups_stays_as_it_was():
    for seed in range(2):
        labels, groups = draw(seed, groups=40, samples=600)
        assert split_groups(labels, groups, SHARES, seed, 3) == split_groups(labels, groups, SHARES, seed)


def test_a_class_of_two_groups_is_not_taken_from_train_for_the_sake_of_groups():
    """Eight groups, one class in three of them: two of these could go."""
    labels, groups = [], []
    for k in range(8):
        own = ["rare" if k < 3 else "often"] * 20 + ["often"] * 10
        labels, groups = labels + own, groups + [f"g{k}"] * len(own)
    splits = split_groups(labels, groups, SHARES, 0, 3)
    assert members(groups, splits) == [4, 2, 2]
    assert "rare" in {label for label, split in zip(labels, splits, strict=True) if split == "train"}


THIRDS = "with 3 each train would keep less than two thirds of its share, or lose a class"
HALF = "with 2 each train would keep less than half of its share, or lose a class"


@pytest.mark.parametrize(
    ("count", "fewest", "note"),
    [
        (8, 3, f"val 2 and test 2 of 8 groups; {THIRDS}"),
        (6, 3, f"val 2 and test 2 of 6 groups; {THIRDS}"),
        (5, 3, f"val 1 and test 1 of 5 groups; {HALF}"),
        (12, 3, "val 3 and test 3 of 12 groups"),
        (8, 1, "val 1 and test 2 of 8 groups"),
    ],
)
def test_the_rule_is_told(count, fewest, note):
    labels, groups = [f"c{k % 3}" for k in range(count * 30)], [f"g{k // 30}" for k in range(count * 30)]
    assert fill_splits(rows_of(labels, groups), Prepare(min_groups=fewest))[1][1:] == [note]


def test_many_groups_need_no_note():
    labels, groups = draw(0, groups=40)
    assert fill_splits(rows_of(labels, groups), Prepare())[1] == ["train, val, test made by whole groups"]


def test_carving_gives_val_enough_groups_too():
    labels, groups = [f"c{k % 3}" for k in range(240)], [f"g{k // 30}" for k in range(240)]
    given = ["test" if group in ("g0", "g1") else "train" for group in groups]
    rows, notes = fill_splits(rows_of(labels, groups, given), Prepare())
    assert len({r.group for r in rows if r.split == "val"}) == 2
    assert notes[1].startswith("val 2 of 6 groups; with 3 each train would keep less than two thirds")
