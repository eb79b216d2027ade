"""compare.json, as `compare` writes it and as the tables for the terminal read it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from ambidex.base.readers import Record, Source, read_json
from ambidex.report.study.rows import Numbers

STUDY_FILE = "compare.json"
Estimate = dict[str, float | None]


class _Test(Record):
    mark: Literal["better", "worse", "same"] | None = None
    difference: float | None = None


class _Row(Record):
    kind: str
    method: str
    regime: str
    allocator: str
    per_seed: dict[str, Numbers]
    mean: Numbers = Field(default_factory=dict)
    std: Numbers = Field(default_factory=dict)
    tests: dict[str, _Test] = Field(default_factory=dict)
    repair: dict[str, _Test] = Field(default_factory=dict)


class _Bias(Record):
    method: str
    regime: str
    leading: str
    by_modality: dict[str, Estimate]
    answer: str
    imbalance: Estimate
    follows_wrongly: dict[str, float | None]


class _Effect(Record):
    allocator: str
    cells: int
    refused: int
    replaced: int
    mean: Numbers
    counts: dict[str, dict[str, int]]


class _Verdict(Record):
    question: str
    sentences: list[str]


class _Candidate(Record):
    method: str
    regime: str
    cost: float
    nll: float
    difference: float
    margin: float


class _Choice(Record):
    chosen: str | None = None
    samples: int = 0
    groups: int = 0
    candidates: list[_Candidate] = Field(default_factory=list)
    left_out: list[str] = Field(default_factory=list)
    pretraining_counted: bool = True


class _Study(Record):
    rows: list[_Row]
    methods: list[dict[str, Any]]
    bias: list[_Bias]
    allocators: list[_Effect]
    verdicts: list[_Verdict]
    power: dict[str, Any] | None = None
    choice: _Choice | None = None
    few_groups: list[str] = Field(default_factory=list)
    far_apart: str | None = None
    degraded: str | None = None


def source_of(folder: Path) -> Source:
    """How messages speak of the comparison in `folder`."""
    path = folder / STUDY_FILE
    return Source(str(path), hint="run compare again" if path.exists() else "run compare first")


def read_study(folder: Path) -> Mapping[str, Any]:
    """The content of compare.json. Raises DataError where there is no comparison, or a damaged one."""
    study: dict[str, Any] = read_json(folder / STUDY_FILE, _Study, hint=source_of(folder).hint)
    return study
