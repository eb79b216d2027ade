"""Rows held by column are the rows that they were made of."""

import pickle

import pytest

from ambidex.data.manifest import Row
from ambidex.data.rows import Numbered, Rows

LIST = [
    Row(
        f"s{k}",
        "ab"[k % 2],
        "train",
        f"g{k // 2}",
        {"audio": f"{k}.wav"} | ({"visual": "v.mp4"} if k % 3 else {}),
        f"x, line {k}",
    )
    for k in range(6)
]


def test_columns_give_back_the_rows() -> None:
    rows = Rows.of(LIST)
    assert list(rows) == LIST
    assert (len(rows), rows[4], rows[-1]) == (6, LIST[4], LIST[-1])
    assert Rows.of(rows) is rows
    assert list(rows.chosen([5, 0])) == [LIST[5], LIST[0]]
    assert list(rows.having("visual")) == [row for row in LIST if "visual" in row.paths]
    assert rows.having("audio") is rows
    with pytest.raises(IndexError):
        rows[6]


def test_a_part_of_a_part_is_the_same_as_of_a_list_also_in_another_process() -> None:
    part = Rows.of(LIST)[1:5]
    assert list(part) == LIST[1:5]
    assert list(part[1:9]) == LIST[1:5][1:9]
    assert part[-1] == LIST[4]
    assert pickle.loads(pickle.dumps(part)) == LIST[1:5]


def test_numbered_texts() -> None:
    texts = Numbered("v.npy[", range(3, 12), "]", width=2)
    assert list(texts)[:2] == ["v.npy[03]", "v.npy[04]"]
    assert texts[-1] == "v.npy[11]"
    assert list(texts[7:]) == ["v.npy[10]", "v.npy[11]"]
    assert "v.npy[05]" in texts
