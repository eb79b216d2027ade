"""prepare holds samples as columns: what it writes is as if it held rows, and a row takes little memory."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from ambidex.base.files import csv_text, digest, write_rows
from ambidex.base.readers import read_columns, read_rows
from ambidex.data.datasets._group_counts import GroupCounts
from ambidex.stages import prepare as stage
from helpers.datasets import prepare


def _vectors(folder: Path, count: int) -> Path:
    folder.mkdir()
    draws = np.random.default_rng(0)
    names = {name: draws.normal(size=(count, 2)) for name in ("audio", "visual")}
    numbers = np.arange(count)
    np.savez(folder / "v.npz", labels=numbers % 5, groups=numbers // 10, test=numbers % 50 < 10, **names)
    return folder / "v.npz"


@pytest.mark.parametrize("at_once", [1, 7, 1_000])
def test_the_fingerprint_is_the_digest_of_facts_cells_and_sizes(
    tmp_path: Path, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "_AT_ONCE", at_once)
    lines = ["sample_id,label,audio,visual"]
    for k in range(20):
        for name in (f"a{k}.wav", f"v{k}.mp4"):
            (tmp_path / name).write_bytes(bytes([k]) * (k + 1))
        lines.append(f"s{k},{'ab'[k % 2]},{'' if k == 3 else f'a{k}.wav'},v{k}.mp4")
    (tmp_path / "own.csv").write_text("\n".join(lines) + "\n")
    rows, facts = prepare(tmp_path / "out", "manifest", tmp_path / "own.csv", allow_missing=["audio"])
    cells = [{name: cell for name, cell in row.items() if cell} for row in rows]
    names = {row[name] for row in rows for name in ("audio", "visual")} - {""}
    sizes = {name: (tmp_path / name).stat().st_size for name in names}
    expected = digest([{k: v for k, v in facts.items() if k not in ("fingerprint", "root")}, cells, sizes])
    assert facts["fingerprint"] == expected


@pytest.mark.slow
def test_memory_grows_by_little_for_each_row(tmp_path: Path) -> None:
    """Rows as objects, with a copy for each step, take 2,600 bytes each."""
    options = {"groups": "groups", "test": "test"}
    sources = {count: _vectors(tmp_path / str(count), count) for count in (200, 500, 2_000)}
    peaks = []
    for count, source in sources.items():
        tracemalloc.start()
        prepare_only(tmp_path / f"out{count}", source, options)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (peaks[2] - peaks[1]) / 1_500 < 700


def prepare_only(folder: Path, source: Path, options: dict[str, str]) -> None:
    """The stage, without reading what it wrote."""
    from ambidex import stages
    from helpers.datasets import prepare_params

    params = prepare_params("npz", source, options=options, val_fraction=0)
    stages.run("prepare", params, {}, {"manifest": folder})


def test_counts_of_groups_are_those_of_a_matrix() -> None:
    draws = np.random.default_rng(1)
    groups, labels = draws.integers(0, 9, 60), draws.integers(0, 4, 60)
    matrix = np.zeros((10, 4))  # the last group has no sample
    np.add.at(matrix, (groups, labels), 1)
    counts = GroupCounts(groups.tolist(), labels.tolist(), matrix.shape)
    assert np.array_equal(counts.dense(), matrix)
    assert np.array_equal(counts.sizes(), matrix.sum(axis=1))
    assert np.array_equal(counts.total(), matrix.sum(axis=0))
    assignment = draws.integers(0, 3, 10)
    sums = np.stack([matrix[assignment == split].sum(axis=0) for split in range(3)])
    assert np.array_equal(counts.sums(assignment, 3), sums)


def test_rows_that_are_written_one_by_one_are_the_same_file_and_come_back_by_column(tmp_path: Path) -> None:
    rows = [["s1", "=a", 'x"y', "é"], ["s2", "", "a\nb", "-1"]]
    write_rows(tmp_path / "t.csv", "abcd", iter(rows))
    assert (tmp_path / "t.csv").read_bytes() == csv_text("abcd", rows).encode()
    assert read_columns(tmp_path / "t.csv", ["b"]) == {
        n: [row[k] for row in rows] for k, n in enumerate("abcd")
    }
    assert [list(row.values()) for row in read_rows(tmp_path / "t.csv")] == rows
