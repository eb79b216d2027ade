"""Sequences: what a cell may name, what is refused, packing, statistics of real steps, augmentation."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from ambidex.base.errors import DataError
from ambidex.data.augment import augment
from ambidex.data.draws import Draws
from ambidex.data.kinds import InputSpec
from ambidex.data.kinds.sequence import LONGEST, SequenceAugment, SequenceKind
from ambidex.data.manifest import Row
from ambidex.data.media.container import MediaError
from ambidex.data.media.limits import DEFAULT
from ambidex.data.media.sequences import read_sequence, resampled
from ambidex.data.media.vectors import read_vector
from ambidex.data.moments import Moments
from ambidex.data.ragged import packed
from ambidex.net.model import Normalise

TABLE = np.arange(12, dtype=np.float64).reshape(4, 3) / 4
TEXT = "\n".join(",".join(map(str, row)) for row in TABLE)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    np.save(tmp_path / "a.npy", TABLE)
    np.save(tmp_path / "many.npy", np.stack([TABLE + 1, TABLE]))
    np.savez(tmp_path / "all.npz", a=TABLE, many=np.stack([TABLE + 1, TABLE]), flat=TABLE[0])
    (tmp_path / "named.csv").write_text(f"x,y,z\n{TEXT}\n")
    (tmp_path / "bare.csv").write_text(TEXT)
    return tmp_path


@pytest.mark.parametrize(
    "cell", ["a.npy", "many.npy[1]", "all.npz#a", "all.npz#many[1]", "named.csv", "bare.csv"]
)
def test_every_form_gives_the_table(root: Path, cell: str) -> None:
    found = read_sequence(cell, root)
    assert found.dtype == np.float32
    assert np.array_equal(found, TABLE.astype(np.float32))


NUMBERED = "begins with 0,1,2, which may be a row or the names that pandas gives to columns without any"


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("all.npz#flat", r"found an array of shape \[3\]; save one channel as \[3, 1\], and .* kind: vector"),
        ("many.npy", r"found an array of shape \[2, 4, 3\]; name one of them: \[0\]"),
        ("named.csv[1]", "'named.csv.1.' names one row of a table; a sequence is all of it: named.csv"),
        ("all.npz", "'all.npz' names no sequence; expected file.npy, file.npz#array or file.csv"),
        ("walk.txt", "'walk.txt' names no sequence; expected"),
        ("gone.npy", "file is missing"),
        ("empty.npy", "has no steps"),
        ("only_names.csv", "has no steps"),
        ("narrow.npy", "has no channels"),
        ("nan.npy", r"row 2, column 1 is not a finite number \(both counted from 0\)"),
        ("nan.csv", "row 1, column 2 is not a finite number"),
        ("large.npy", "row 0, column 1 is too large for 32 bits"),
        ("objects.npy", "is not numeric: its values are of type object"),
        ("words.csv", r"is not a table of numbers .* at row 0, column 1, both counted from 0\)"),
        ("ragged.csv", "is not a table of numbers"),
        ("numbered.csv", NUMBERED),
        ("mixed.csv", "has '3' in its first line, expected a header"),
        ("semicolons.csv", "has columns separated by ';', expected ','"),
        ("index.csv", "column 1 has no name, as an index column that pandas writes"),
    ],
)
def test_mistakes_have_plain_reasons(root: Path, cell: str, message: str) -> None:
    wrong = TABLE.copy()
    wrong[2, 1] = np.nan
    np.save(root / "nan.npy", wrong)
    np.save(root / "empty.npy", TABLE[:0])
    np.save(root / "narrow.npy", TABLE[:, :0])
    np.save(root / "large.npy", np.array([[1, 1e39]]))
    np.save(root / "objects.npy", np.array([[object()]]), allow_pickle=True)
    for name, text in {
        "only_names": "x,y",
        "nan": "1,2,3\n1,2,nan",
        "words": "x,y\n1,two",
        "ragged": "x,y\n1,2\n1,2,3",
        "numbered": "0,1,2\n4,5,6",
        "mixed": "x,3\n4,5",
        "semicolons": "x;y\n4;5",
        "index": ",x\n0,5",
    }.items():
        (root / f"{name}.csv").write_text(text)
    with pytest.raises(MediaError, match=message) as caught:
        read_sequence(cell, root)
    assert "\n" not in str(caught.value)


def test_a_table_in_a_vector_cell_names_this_kind(root: Path) -> None:
    with pytest.raises(MediaError, match=r"shape \[4, 3\]; name a row: \[0\], or read all .* kind: sequence"):
        read_vector("a.npy", root)
    with pytest.raises(MediaError, match=r"'named.csv' names no vector; .*a whole table is a kind: sequence"):
        read_vector("named.csv", root)


def test_memory_is_bounded_by_the_header(root: Path) -> None:
    with pytest.raises(MediaError, match=r"more than extract.megabytes_per_file allows"):
        read_sequence("a.npy", root, most=64)


def test_a_sequence_is_cut_padded_or_stretched_to_its_length(root: Path) -> None:
    for length in (3, 4, 6):
        kept = min(length, 4)
        found = SequenceKind.of(length=length, channels=3).read("a.npy", root, DEFAULT)
        assert found.shape == (length, 4)
        assert np.array_equal(found[:kept, :3], TABLE[:kept].astype(np.float32))
        assert found[:, 3].tolist() == [1] * kept + [0] * (length - kept)
        assert not found[kept:].any()
    found = SequenceKind.of(length=7, channels=3, resample=True).read("a.npy", root, DEFAULT)
    assert found[:, 3].all()
    assert np.array_equal(found[::2, :3], TABLE.astype(np.float32))
    np.testing.assert_allclose(found[1::2, :3], (TABLE[1:] + TABLE[:-1]) / 2, rtol=1e-6)
    with pytest.raises(MediaError, match="has 3 columns, expected 5"):
        SequenceKind.of(length=3, channels=5).read("a.npy", root, DEFAULT)


@pytest.mark.parametrize(("steps", "length"), [(1, 5), (5, 1), (9, 4), (4, 4), (3, 100)])
def test_resampling_is_numpys_interpolation(steps: int, length: int) -> None:
    x = np.random.default_rng(0).normal(size=(steps, 2)).astype(np.float32)
    places = np.linspace(0, steps - 1, length)
    expected = np.stack([np.interp(places, np.arange(steps), x[:, d]) for d in range(2)], axis=1)
    np.testing.assert_allclose(resampled(x, length), expected, rtol=1e-5, atol=1e-6)


def rows(cells: Sequence[str], splits: Sequence[str]) -> list[Row]:
    return [
        Row(f"s{k}", "a", split, "", {"walk": cell})
        for k, (cell, split) in enumerate(zip(cells, splits, strict=True))
    ]


def measured(root: Path, splits: Sequence[str], cells: Sequence[str], **options: Any) -> tuple[Any, Any]:
    config = SequenceKind.of(**options).measured("walk", rows(cells, splits), root, DEFAULT).config
    return config.length, config.channels


def test_the_length_is_that_of_the_longest_training_sample(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(root / "long.npy", np.zeros((9, 3)))
    np.save(root / "endless.npy", np.zeros((LONGEST + 1, 3)))
    cells, splits = ["gone.npy", "a.npy", "long.npy"], ["train", "train", "test"]
    assert measured(root, splits, cells) == (4, 3)
    assert measured(root, ["train"] * 3, cells) == (9, 3)
    assert measured(root, splits, cells, length=2) == (2, 3)
    assert capsys.readouterr().err == ""
    assert measured(root, ["train"], ["endless.npy"]) == (LONGEST, 3)
    assert "the longest training sequence has 4,097 steps, of which 4,096 are kept" in capsys.readouterr().err
    assert measured(root, ["train"], ["endless.npy"], length=5_000) == (5_000, 3)


def test_nothing_that_can_be_read_or_kept_is_one_line(root: Path) -> None:
    with pytest.raises(
        DataError, match=r"walk: no sequence can be read; the first: gone.npy: file is missing"
    ):
        measured(root, ["train"], ["gone.npy"])
    np.save(root / "wide.npy", np.zeros((2, 1_000), np.float32))
    with pytest.raises(DataError, match="walk: a sample would have 1,001,000,000 values, expected at most"):
        measured(root, ["train"], ["wide.npy"], length=1_000_000)


LENGTHS = (5, 1, 3, 5)


def batch() -> tuple[list[NDArray[np.float32]], NDArray[np.float32]]:
    draws = np.random.default_rng(0)
    real = [draws.normal(3, 2, (steps, 2)).astype(np.float32) for steps in LENGTHS]
    return real, np.stack([packed(x, 5) for x in real])


def test_statistics_count_real_steps_and_padding_is_zero_after_normalisation() -> None:
    real, stored = batch()
    total = Moments.total([SequenceKind.moments(sample) for sample in stored])
    assert total is not None
    assert total.count == sum(LENGTHS)
    joined = np.concatenate(real).astype(np.float64)
    np.testing.assert_allclose(total.mean, joined.mean(0), rtol=1e-12)
    np.testing.assert_allclose(total.std, joined.std(0), rtol=1e-12)
    normalise = Normalise(InputSpec("sequence", (5, 3), tuple(total.mean), tuple(total.std)))
    found = normalise(torch.from_numpy(stored)).numpy()
    for sample, given, steps in zip(found, real, LENGTHS, strict=True):
        expected = (given - joined.mean(0)) / joined.std(0)
        np.testing.assert_allclose(sample[:steps, :2], expected, atol=1e-5)
        assert not sample[steps:].any()
        assert sample[:, 2].tolist() == [1] * steps + [0] * (5 - steps)


def augmented(x: Tensor, seed: int = 0, place: slice = slice(None), **options: float) -> Tensor:
    config = SequenceAugment(kind="sequence", **options)
    whole = max(len(x), place.stop or 0)
    draws = Draws(torch.Generator().manual_seed(seed), whole, place)
    return augment({"s": x}, {"s": config}, draws, {"s": torch.tensor([1.0, 10.0])})["s"]


def many(count: int = 400, longest: int = 20) -> tuple[Tensor, Tensor]:
    draws = np.random.default_rng(1)
    lengths = draws.integers(1, longest + 1, count)
    x = np.stack([packed(draws.normal(size=(steps, 2)), longest) for steps in lengths])
    return torch.from_numpy(x), torch.from_numpy(lengths)


def test_augmentation_leaves_padding_and_mask_alone() -> None:
    x, _ = many()
    found = augmented(x, noise=0.5, time_mask=0.5)
    padding = x[..., -1] == 0
    assert torch.equal(found[..., -1], x[..., -1])
    assert not found[padding].any()
    assert (found != x)[..., :2][~padding].float().mean() > 0.99


def test_noise_is_in_units_of_each_channels_deviation() -> None:
    x, _ = many(4_000)
    real = x[..., -1] > 0
    noise = (augmented(x, noise=0.3, time_mask=0) - x)[real][:, :2]
    assert torch.allclose(noise.std(0), torch.tensor([0.3, 3.0]), rtol=0.02)


def test_a_stretch_is_one_run_within_the_samples_own_steps_filled_with_its_mean() -> None:
    x, lengths = many(3_000, 10)
    found = augmented(x, noise=0, time_mask=0.4)
    changed = (found != x).any(-1)
    widths, starts = set(), set()
    for before, after, places, steps in zip(x, found, changed, lengths.tolist(), strict=True):
        where = places.nonzero().flatten()
        assert len(where) <= int(0.4 * steps)
        if len(where):
            assert (where.diff() == 1).all()
            mean = before[:steps, :2].mean(0).expand(len(where), 2)
            assert torch.allclose(after[where, :2], mean, atol=1e-6)
        if steps == 10:
            widths.add(len(where))
            starts.update(where.tolist())
    assert widths == {0, 1, 2, 3, 4}
    assert starts == set(range(10))


def test_a_sample_draws_by_its_place_in_the_step() -> None:
    x, _ = many(6)
    whole = augmented(x, 3)
    for part in (slice(0, 2), slice(2, 6)):
        config = SequenceAugment(kind="sequence")
        draws = Draws(torch.Generator().manual_seed(3), 6, part)
        found = augment({"s": x[part]}, {"s": config}, draws, {"s": torch.tensor([1.0, 10.0])})["s"]
        assert torch.equal(found, whole[part])
    assert not torch.equal(augmented(x, 4), whole)
    assert augmented(x, noise=0, time_mask=0) is x
