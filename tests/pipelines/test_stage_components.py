"""Kubeflow components against the stage table: each reads what its stage reads, writes what it writes, and asks for it.

kfp reads a component's signature from its source, so it is written by hand; here it is derived and compared.
"""

import ast
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from components.balanced_training import component as training
from components.decision_evaluation import component as evaluation
from components.feature_extraction import component as extraction
from components.pretraining import component as pretraining

from ambidex.stages.table import TABLE

ONE = {
    "prepare": extraction.prepare_data,
    "extract": extraction.extract_features,
    "merge": extraction.merge_features,
    "train": training.train_model,
    "crossfit": training.crossfit_model,
    "evaluate": evaluation.evaluate_model,
    "compare": evaluation.compare_models,
}
"""one call of a stage"""
MANY = {
    "pretrain": pretraining.pretrain_encoders,
    "train": training.train_cells,
    "crossfit": training.crossfit_cells,
    "evaluate": evaluation.evaluate_cells,
}
"""many calls of a stage in one task: a folder each in what it writes"""
PAGES = {"metrics", "confusion", "page", "finding", "table"}
"""what Kubeflow shows of a run, beside the stage's own output"""
DATA_STEPS = {"prepare", "extract", "merge"}


def artefacts(component: Any, kind: str) -> set[str]:
    found = getattr(component.component_spec, kind) or {}
    return {name for name, spec in found.items() if "system." in str(spec.type)}


def parameters(component: Any) -> set[str]:
    return set(component.component_spec.inputs or {}) - artefacts(component, "inputs")


def calls(component: Any, name: str) -> list[ast.Call]:
    """The calls of the function `name` in the component's source."""
    tree = ast.parse(inspect.getsource(component.python_func))
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [node for node in nodes if isinstance(node.func, ast.Name) and node.func.id == name]


def several(name: str) -> str:
    """What a folder of many outputs is called."""
    return {"crossfit": "crossfits"}.get(name, f"{name}s")


@pytest.mark.parametrize("stage", ONE)
def test_one_call_reads_and_writes_what_the_stage_does(stage: str) -> None:
    declared, component = TABLE[stage], ONE[stage]
    reads = {read.artefact.name for read in declared.reads}
    outside = {"source"} if stage in ("prepare", "extract") else set()  # what pull_data fetched
    assert artefacts(component, "inputs") == reads | outside
    assert artefacts(component, "outputs") - PAGES == {declared.writes.name}


@pytest.mark.parametrize("stage", MANY)
def test_many_calls_read_and_write_folders_of_it(stage: str) -> None:
    declared, component = TABLE[stage], MANY[stage]
    cells = {"model", "crossfit"} if stage == "evaluate" else set()  # of each cell its own
    reads = {read.artefact.name for read in declared.reads}
    assert artefacts(component, "inputs") == {several(name) if name in cells else name for name in reads}
    assert artefacts(component, "outputs") - PAGES == {several(declared.writes.name)}


@pytest.mark.parametrize(("stage", "component"), [*ONE.items(), *MANY.items()])
def test_optional_inputs_of_a_stage_may_be_missing_from_a_task_only_there(
    stage: str, component: Callable[..., Any]
) -> None:
    """Encoders are always there in our pipelines; a cross-fitted split is not."""
    found: Any = component
    spec = found.component_spec.inputs
    missing = {name for name in artefacts(component, "inputs") if spec[name].optional}
    declared = {read.artefact.name for read in TABLE[stage].reads if read.optional}
    assert missing - {"source"} <= declared | {several(name) for name in declared}


@pytest.mark.parametrize(("stage", "component"), [*ONE.items(), *MANY.items()])
def test_a_data_step_gets_the_sections_of_data_alone(stage: str, component: Callable[..., Any]) -> None:
    """What else is in the parameters can then not make it run again."""
    given = parameters(component) & {"data", "params"}
    assert given == ({"data"} if stage in DATA_STEPS else {"data", "params"})
    in_data = {"prepare", "extract"}
    assert (set(TABLE[stage].sections) <= in_data) == (stage in DATA_STEPS)


@pytest.mark.parametrize("stage", ONE)
def test_the_call_names_the_stage_and_its_places(stage: str) -> None:
    (call,) = calls(ONE[stage], "call")
    name, _, _, outputs = call.args[:4]
    assert isinstance(name, ast.Constant)
    assert name.value == stage
    assert isinstance(outputs, ast.Dict)
    assert [ast.literal_eval(key) for key in outputs.keys if key] == [TABLE[stage].writes.name]
    tree = ast.parse(inspect.getsource(ONE[stage].python_func))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert {read.artefact.name for read in TABLE[stage].reads} <= texts
    assert {key for flag, key in TABLE[stage].flags if flag != "allocator"} <= texts


@pytest.mark.parametrize("stage", ["train", "crossfit", "evaluate"])
def test_the_flags_of_a_cell_are_its_arguments(stage: str) -> None:
    assert {flag for flag, _ in TABLE[stage].flags} - {"allocator"} <= parameters(ONE[stage])


def test_every_stage_has_a_component() -> None:
    assert {*ONE, *MANY} == set(TABLE)
