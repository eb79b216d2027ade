"""The folder that evaluate writes: metrics, page, charts, tables, predictions, cached outputs, fitted allocators."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from ambidex.base.files import write_bytes, write_csv, write_json, write_text
from ambidex.base.records import read_card
from ambidex.configuration.params import Params
from ambidex.decide import allocators
from ambidex.decide.cross_validated import cross_validated
from ambidex.decide.fitting import Allocation
from ambidex.report import theme
from ambidex.report.chart import Drawn, draw, rounded
from ambidex.report.finding import verdict
from ambidex.report.headline import headline
from ambidex.report.held_out_file import write_held_out
from ambidex.report.result import Result, run_metrics
from ambidex.report.run_charts import run_charts
from ambidex.report.run_judge import lean_sentence
from ambidex.report.run_page import run_page
from ambidex.report.study.cells import CACHE_FILE, DIAGNOSIS_FILE
from ambidex.report.tensorboard import allocator_scalars, write_tensorboard
from ambidex.resolve.run_card import write_records

PAGE_FILE, FINDING_FILE, CONFUSION_FILE = "report.html", "finding.md", "confusion.csv"
PLOTS, TABLES, ALLOCATORS = "plots", "tables", "allocators"


def write_report(
    folder: Path, params: Params, result: Result, details: dict[str, Any], facts: dict[str, Any]
) -> None:
    """Write everything into `folder`. `facts` go into the run card."""
    write_records(folder, "evaluate", params, run_metrics(details), details, **facts)
    write_json(folder / DIAGNOSIS_FILE, {name: d.metrics for name, d in result.diagnoses.items()})
    result.predictions().write(folder, f"allocator/{result.headline.name}")
    write_held_out(folder, cross_validated(result.evaluation, result.headline))
    _write_tables(folder / TABLES, result)
    write_bytes(folder / CACHE_FILE, save(_cache(result)))
    for allocation in result.allocations:
        _write_allocator(folder / ALLOCATORS, allocation, result)
    drawn: list[Drawn] = []
    if params.evaluate.charts:
        with theme.style():
            drawn = [draw(chart, folder / PLOTS) for chart in run_charts(result)]
    write_tensorboard(folder, drawn, allocator_scalars(details))
    _write_plot_data(folder / PLOTS, result)
    card = read_card(folder)
    write_text(folder / PAGE_FILE, run_page(result, details, drawn, card))
    write_text(folder / FINDING_FILE, _in_short(result, details))


def _in_short(result: Result, details: dict[str, Any]) -> str:
    """The first lines of the page as Markdown, for where a page is too much."""
    finding, *reasons = verdict(result)
    leaky = "Leaky protocol: groups stand on both sides of the split, so every accuracy is too high."
    oracle = "Oracle selection: the epoch was chosen on test."
    paragraphs = [
        leaky if result.store.get("leaky") else "",
        _sentence(result.store.get("degraded")),
        oracle if result.evaluation.card.get("selection") == "oracle" else "",
        headline(result, details),
        _sentence(details["far_apart"]),
        _sentence(details["training"]),
        finding and f"**{finding}**",
    ]
    points = [f"- {sentence}" for sentence in [*lean_sentence(result), *reasons]]
    return "\n\n".join([*filter(None, paragraphs), "\n".join(points)]) + "\n"


def _sentence(line: str | None) -> str:
    return "" if not line else f"{line[:1].upper()}{line[1:]}".removesuffix(".") + "."


def _write_tables(folder: Path, result: Result) -> None:
    names: set[str] = set()
    for diagnostic, diagnosis in result.diagnoses.items():
        for title, rows in diagnosis.tables.items():
            name = title if title not in names else f"{diagnostic}_{title}"
            names.add(name)
            write_csv(folder / f"{name}.csv", [rounded(row) for row in rows])


def _write_plot_data(folder: Path, result: Result) -> None:
    """plots/confusion.csv, a line per test sample, as the confusion template of `dvc plots` wants it."""
    classes, labels = result.evaluation.classes, result.evaluation.test.labels.tolist()
    predictions = result.headline.logits["test"].argmax(dim=1).tolist()
    pairs = zip(labels, predictions, strict=True)
    write_csv(folder / CONFUSION_FILE, [{"actual": classes[a], "predicted": classes[p]} for a, p in pairs])


def _cache(result: Result) -> dict[str, Tensor]:
    """`<split>/labels`, `<split>/logits`, `<split>/features/<m>`, `<split>/contributions/<m>`; train left out."""
    tensors: dict[str, Tensor] = {}
    for name in result.evaluation.judged:
        outputs = result.evaluation.splits[name]
        tensors |= {f"{name}/labels": outputs.labels, f"{name}/logits": outputs.logits}
        tensors |= {f"{name}/features/{m}": h for m, h in outputs.features.items()}
        tensors |= {f"{name}/contributions/{m}": z for m, z in outputs.contributions.items()}
    # a contribution may be a view of another tensor, which the format refuses
    return {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}


def _write_allocator(folder: Path, allocation: Allocation, result: Result) -> None:
    """<name>.json says how the fit went, <name>.safetensors holds what was fitted (not where it was refused)."""
    content: dict[str, Any] = {
        "name": allocation.name,
        "modalities": list(result.evaluation.modalities),
        "classes": list(result.evaluation.classes),
        "refusal": allocation.refusal,
        "source": allocation.source,
        "note": allocation.note,
        "record": allocation.record,
    }
    if allocation.allocator is not None:
        # what `auto` chose
        content["allocator"] = allocators.ALLOCATORS.name_of(type(allocation.allocator))
        content["config"] = json.loads(allocation.allocator.config.model_dump_json())
        state: dict[str, Tensor] = allocation.allocator.state_dict()
        tensors = {name: tensor.detach().clone().contiguous() for name, tensor in state.items()}
        write_bytes(folder / f"{allocation.name}.safetensors", save(tensors or {"empty": torch.zeros(0)}))
    write_json(folder / f"{allocation.name}.json", content)
