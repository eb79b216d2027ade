"""Each reader of the product, and the file of the corpus that it reads."""

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from components.data_versioning import tree
from components.data_versioning.pointer import Pointer
from pipelines.kubeflow import package, replies, tasks, verdict
from pipelines.kubeflow.arguments import collect
from pipelines.kubeflow.screen import Screen
from pipelines.kubeflow.wait import _show_changes, _summary

from ambidex.base.errors import AmbidexError
from ambidex.base.files import write_json
from ambidex.base.layout import Layout
from ambidex.base.readers import read_json
from ambidex.commands.freshness import up_to_date
from ambidex.commands.stage import show_study
from ambidex.data.datasets._manifest_csv import read_listing
from ambidex.data.store.manifest import read_manifest
from ambidex.data.store.parts import read_parts
from ambidex.data.store.reading import FeatureStore, store_fingerprint
from ambidex.decide.crossfitted import read_held_out
from ambidex.decide.repaired import load_saved
from ambidex.learn.loop.checkpoint import load_checkpoint
from ambidex.net.encoders._published import read as read_published
from ambidex.predict.clips import wants_of
from ambidex.report.study.cells import read_reports
from ambidex.report.study.judge import judge
from ambidex.report.training import history_chart
from ambidex.resolve import load_params
from ambidex.resolve.cell import resolve
from ambidex.stages import evaluate
from helpers.fuzz.corpus import SECTIONS
from helpers.runs import small_params

MODEL, REPORT = "models/joint-scratch-0", "reports/joint-scratch-0"
PARAMS = small_params(**SECTIONS)


@dataclass(frozen=True)
class Target:
    """`read` is called with the corpus' folder, in which `file` is damaged."""

    file: str
    read: Callable[[Path], Any]


def store(root: Path) -> None:
    opened = FeatureStore.open(root / "features", verify=False)
    for name in opened.modalities:
        opened.gather(name, torch.arange(min(3, len(opened))))


def sealed(root: Path) -> None:
    """As whoever made the damage would have written the index: its fingerprint fits, so that types are looked at."""
    index = root / "features/index.json"
    info = read_json(index)
    with contextlib.suppress(KeyError, TypeError, ValueError):
        write_json(index, {**info, "fingerprint": store_fingerprint(info)})
    store(root)


def model(root: Path) -> None:
    loaded = load_saved(root / MODEL)
    wants_of(root / MODEL, loaded.architecture)
    loaded({name: torch.zeros(2, *spec.shape) for name, spec in loaded.architecture.inputs.items()})


def records(root: Path) -> None:
    card, history = evaluate._card(root / MODEL), evaluate._history(root / MODEL)
    history_chart(history, ("left", "right"), card.get("epoch"))


def reports(root: Path) -> None:
    found = read_reports(root / "reports", PARAMS.study)
    for report in found.found.values():
        report.contributions()
        report.diagnosis  # noqa: B018
    judge(found, PARAMS, root / "encoders").to_json()


def study(root: Path) -> None:
    for which in (None, "methods", "decision"):
        show_study(root / "study", which)


def fresh(root: Path) -> None:
    layout = Layout(root)
    up_to_date("train", resolve(PARAMS), {"features": layout.features}, root / MODEL)


def reply(root: Path) -> None:
    parsed = replies.parse("GET /runs/r-1", (root / "reply.json").read_bytes())
    if parsed is None:
        return
    found = replies.run(parsed, "GET /runs/r-1")
    settings = SimpleNamespace(page=lambda *parts: "/".join(parts), namespace="")
    api: Any = SimpleNamespace(transport=SimpleNamespace(settings=settings))
    verdict.verdict(api, found)
    tasks.failures(found)
    with Screen() as screen:
        _show_changes(found, str(found.get("state")), {}, screen)
    _summary(found, str(found.get("state")))


def compiled(root: Path) -> None:
    loaded = package.load(root / "package.yaml")
    package.containers(loaded.with_caching(True).spec)
    collect(loaded, [], root / "args.yaml")


def overrides(root: Path) -> None:
    text = (root / "args.yaml").read_text(errors="replace")
    for key in ("train.seed", "study.seeds"):
        with contextlib.suppress(AmbidexError):
            load_params(root / "params.yaml", [f"{key}={text}"])


READ: dict[str, Callable[[Path], Any]] = {
    "params.yaml": lambda root: load_params(root / "params.yaml"),
    "args.yaml": overrides,
    "manifest/dataset.json": lambda root: read_manifest(root / "manifest", ("left", "right")),
    "manifest/manifest.csv": lambda root: read_manifest(root / "manifest", ("left", "right")),
    "user/manifest.csv": lambda root: read_listing(root / "user", None, None),
    "features/index.json": sealed,
    "features/samples.csv": store,
    "features/shard-00000.safetensors": store,
    "parts/0/part.json": lambda root: read_parts(root / "parts"),
    f"{MODEL}/model.json": model,
    f"{MODEL}/model.safetensors": model,
    f"{MODEL}/card.json": records,
    f"{MODEL}/metrics.json": records,
    f"{MODEL}/history.csv": records,
    f"{MODEL}/params.yaml": fresh,
    f"{REPORT}/card.json": reports,
    f"{REPORT}/metrics.json": reports,
    f"{REPORT}/diagnosis.json": reports,
    f"{REPORT}/predictions.csv": reports,
    f"{REPORT}/predictions.safetensors": reports,
    f"{REPORT}/cache.safetensors": reports,
    "encoders/0/left/metrics.json": reports,
    "study/compare.json": study,
    "crossfit/joint-scratch-0/crossfit.json": lambda root: read_held_out(root / "crossfit/joint-scratch-0"),
    "crossfit/joint-scratch-0/crossfit.safetensors": lambda root: read_held_out(
        root / "crossfit/joint-scratch-0"
    ),
    "checkpoint/checkpoint.pt": lambda root: load_checkpoint(root / "checkpoint", "f"),
    "encoders/0/left/model.safetensors": lambda root: read_published(
        root / "encoders/0/left/model.safetensors"
    ),
    "clips.dvc": lambda root: Pointer.parse(str(root / "clips.dvc")),
    "dvc.lock": lambda root: Pointer.parse(str(root / "model")),
    "listing.dir": lambda root: tree.load((root / "listing.dir").read_bytes(), "clips"),
    "reply.json": reply,
    "package.yaml": compiled,
}


def targets() -> list[Target]:
    """All of them, in a fixed order."""
    return [Target(file, read) for file, read in READ.items()]


def quiet(action: Callable[[], Any]) -> Any:
    """`action()` without what it prints."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return action()
