"""evaluate: diagnosis and repair of one trained model, as numbers, files and a page for people.

One forward pass over train (for the probes), val and test; every diagnostic and allocator works on what it
collected. Nothing is fitted on test.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ambidex.base.errors import ModelError, ParamsError
from ambidex.base.files import sha256
from ambidex.base.outputs import whole_folder
from ambidex.base.progress import say_once
from ambidex.base.readers import Source, read_rows
from ambidex.base.records import CARD_FILE, METRICS_FILE, read_card, read_metrics
from ambidex.configuration.params import Evaluate, Params
from ambidex.data.store.reading import FeatureStore
from ambidex.decide.allocators import ALLOCATORS, simplest_first
from ambidex.decide.fitting import REFERENCE, fit_allocators
from ambidex.judge.diagnose import DIAGNOSTICS
from ambidex.judge.evaluation import Evaluation, Outputs, Unimodal, collect, open_store
from ambidex.learn.runtime import device, prepare_torch
from ambidex.net.model import MODEL_FILE, WEIGHTS_FILE, MultimodalNet
from ambidex.report.model_files import MODEL_FOLDER, keep_saved_model, write_model
from ambidex.report.notices import few_groups_line
from ambidex.report.result import Result, run_details, run_metrics
from ambidex.report.run_files import write_report
from ambidex.stages import Paths
from ambidex.stages._checks import check_inputs, check_outputs, check_presence, check_splits, fitting_model
from ambidex.stages._held_out import cross_fitted

HISTORY_FILE = "history.csv"


def run(params: Params, inputs: Paths, outputs: Paths) -> dict[str, Any]:
    """inputs: features, model, encoders (optional: a folder per modality), crossfit (optional). outputs: report.

    Returns the headline numbers. A decision layer in the model is neither judged nor kept: the trained
    head is, and everything is fitted afresh. Raises ParamsError (unknown allocator or diagnostic), ModelError (the
    model was not trained on the store, its outputs are not finite, or the model asked for cannot be saved: then
    the report is there all the same), DataError (a split is empty, validation too small, an input not finite).
    """
    section = params.evaluate
    allocators, diagnostics = _names(section)
    prepare_torch(params.runtime)
    store = open_store(inputs["features"])
    evaluation = _evaluation(params, inputs, store)
    result = Result(
        evaluation,
        {
            n: DIAGNOSTICS.get(n)().run(evaluation)
            for n in diagnostics
            if DIAGNOSTICS.get(n).applies(evaluation)
        },
        fit_allocators(evaluation, allocators),
        section.allocator,
        _history(inputs["model"]),
        store.info,
    )
    details = run_details(result)
    facts = _facts(evaluation.card, store, inputs["model"]) | {
        "modalities": list(evaluation.modalities),
        "allocators": allocators,
        "headline": section.allocator,
        "fit_on": section.fit_on,
        "few_groups": few_groups_line(result),
        "far_apart": details["far_apart"],
    }
    for line in filter(None, (facts["few_groups"], facts["far_apart"])):
        say_once(f"evaluate: {line}")
    problem = None
    with whole_folder(outputs["report"]) as folder:
        write_report(folder, params, result, details, facts)
        if section.save:
            try:
                write_model(folder / MODEL_FOLDER, params, result, inputs["model"], facts)
            except ModelError as error:  # the report is worth having all the same: it says why
                problem = error
        keep_saved_model(outputs["report"], folder)
    if problem is not None:
        raise ModelError(f"{outputs['report']}: the report is there, but no model was saved: {problem}")
    return run_metrics(details)


def _evaluation(params: Params, inputs: Paths, store: FeatureStore) -> Evaluation:
    """What the model, and the classifiers of `encoders`, say about every split of the store."""
    section, place = params.evaluate, device(params.runtime)
    model, card = fitting_model(inputs["model"], store), _card(inputs["model"])
    there = check_splits(store, section.fit_on)
    held_out = cross_fitted(params, inputs, store, card)
    check_inputs(store, model.modalities)
    check_presence(store, model.modalities)

    def see(net: MultimodalNet, folder: Path) -> dict[str, Outputs]:
        shapes = (section.absent, section.permutations, section.seed)
        seen = collect(net, store, there, section.batch_size, place, *shapes)
        check_outputs(seen, folder)
        return seen

    splits = see(model, inputs["model"])
    unimodal = _unimodal(inputs["encoders"], model, store, see) if "encoders" in inputs else {}
    return Evaluation(section, model, store.classes, model.modalities, splits, unimodal, card, held_out)


def _names(section: Evaluate) -> tuple[list[str], list[str]]:
    """Allocators to fit and diagnostics to run; the reference and the headline are always among the former."""
    choices = list(ALLOCATORS.all()) if section.allocators is None else section.allocators
    allocators = list(dict.fromkeys([REFERENCE, *choices, section.allocator]))
    diagnostics = list(DIAGNOSTICS.all()) if section.diagnostics is None else section.diagnostics
    for key, plugins, names in (
        ("allocators", ALLOCATORS, allocators),
        ("diagnostics", DIAGNOSTICS, diagnostics),
    ):
        for name in names:
            try:
                plugins.get(name)
            except ParamsError as error:
                raise ParamsError(f"evaluate.{key}: {error}") from None
    return sorted(allocators, key=simplest_first), diagnostics


def _card(folder: Path) -> dict[str, Any]:
    """The run card, with the selected epoch of the metrics; empty where the model came without records."""
    card: dict[str, Any] = {}
    if (folder / METRICS_FILE).exists():
        metrics = read_metrics(folder, error=ModelError)
        card |= {key: value for key, value in metrics.items() if key == "epoch"}
    if (folder / CARD_FILE).exists():
        card |= read_card(folder, ModelError)
    return card


def _history(folder: Path) -> list[dict[str, str]]:
    path = folder / HISTORY_FILE
    if not path.exists():
        return []
    rows = read_rows(path, ("epoch",), error=ModelError)
    for line, row in enumerate(rows, start=2):
        for name, value in row.items():
            if not _is_number(value):
                raise Source(f"{path}:{line}", ModelError).wrong(
                    f"{name}: got {value[:40]!r}, expected a number"
                )
    return rows


def _is_number(text: str) -> bool:
    """Whether a cell is empty or a number."""
    try:
        return not text or float(text) is not None
    except ValueError:
        return False


def _unimodal(
    folder: Path,
    model: MultimodalNet,
    store: FeatureStore,
    see: Callable[[MultimodalNet, Path], dict[str, Outputs]],
) -> dict[str, Unimodal]:
    """The classifiers trained alone, for those modalities that have one in `folder`."""
    classifiers: dict[str, Unimodal] = {}
    for name in model.modalities:
        place = folder / name
        if not (place / MODEL_FILE).exists():
            continue
        alone = fitting_model(place, store)
        if alone.modalities != (name,):
            raise ModelError(
                f"{place}: expected a classifier of {name} alone, found {', '.join(alone.modalities)}"
            )
        seen = see(alone, place)
        metrics = read_metrics(place, error=ModelError) if (place / METRICS_FILE).exists() else {}
        features = {split: outputs.features[name] for split, outputs in seen.items()}
        classifiers[name] = Unimodal(
            metrics, features, {split: outputs.logits for split, outputs in seen.items()}
        )
    return classifiers


def _facts(card: dict[str, Any], store: FeatureStore, model: Path) -> dict[str, Any]:
    """What the report's card carries on: which model, trained how, on what, seen through which store."""
    kept = {key: card.get(key) for key in ("method", "regime", "seed", "selection", "steps", "seconds")}
    return {
        **kept,
        "classes": list(store.classes),
        "protocol": store.info.get("protocol", card.get("protocol")),
        "leaky": bool(store.info.get("leaky", card.get("leaky", False))),
        **({"degraded": store.info["degraded"]} if store.info.get("degraded") else {}),
        "features": store.fingerprint,
        "weights": sha256(model / WEIGHTS_FILE),
    }
