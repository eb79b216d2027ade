"""Run cards: what a reader may trust in one is checked where it is read."""

import json
from pathlib import Path
from typing import Any

import pytest

from ambidex.base.errors import DataError
from ambidex.base.records import CARD_FILE, read_card


def card(folder: Path, **values: Any) -> Path:
    (folder / CARD_FILE).write_text(json.dumps({"stage": "evaluate", **values}))
    return folder


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("steps", -5, "got -5, expected greater than or equal to 0"),  # the cheapest of a study
        ("seconds", -0.5, "got -0.5, expected greater than or equal to 0"),
        ("remark", 5, "got 5, expected text"),
        ("far_apart", ["line"], "got ['line'], expected text"),
        ("few_groups", 5, "got 5, expected text"),
    ],
)
def test_a_value_that_no_stage_writes_is_named(tmp_path: Path, key: str, value: Any, problem: str) -> None:
    with pytest.raises(DataError) as caught:
        read_card(card(tmp_path, **{key: value}), hint="run evaluate again")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / CARD_FILE}: {key}")
    assert problem in message
    assert message.endswith("; run evaluate again")


def test_lines_of_one_model_and_of_a_study_are_read(tmp_path: Path) -> None:
    for few in (None, "validation holds one group", ["validation holds one group"]):
        assert read_card(card(tmp_path, few_groups=few, steps=0, remark=None))["few_groups"] == few
