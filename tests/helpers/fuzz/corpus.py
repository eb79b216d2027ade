"""Whole inputs to start from: a small run with every stage's output, and what the components and the client read."""

import json
import shutil
from pathlib import Path

import torch
import yaml

from ambidex.base.layout import Layout
from ambidex.configuration.params import Params
from ambidex.learn.loop.checkpoint import save_checkpoint
from ambidex.stages import run
from helpers.runs import extracted, pretrained, small_params, write_params

STUDY = {"methods": ["joint", "multi_task"], "regimes": ["scratch"], "seeds": [0]}
SECTIONS = {
    "study": STUDY,
    "pretrain": {"epochs": 1},
    "train": {"epochs": 1, "regime": "scratch"},
    "evaluate": {"allocators": ["modality"], "diagnostics": ["logits", "weights"], "allocator": "modality"},
    "crossfit": {"folds": 2},
}
MD5 = "0123456789abcdef0123456789abcdef"


def write_corpus(root: Path) -> None:
    """Make a folder per input under `root`."""
    params = small_params(**SECTIONS)
    layout = extracted(root, params)
    pretrained(layout, params)
    for method in STUDY["methods"]:
        _cell(layout, params, method)
    run("compare", params, _study_inputs(layout), {"study": layout.study})
    _parts(layout, root)
    write_params(root / "params.yaml", **SECTIONS)
    (root / "checkpoint").mkdir()
    save_checkpoint(root / "checkpoint", {"fingerprint": "f", "model": {"w": torch.zeros(3)}, "epoch": 1})
    _outside(root)


def _cell(layout: Layout, params: Params, method: str) -> None:
    chosen = params.model_copy(update={"train": params.train.model_copy(update={"method": method})})
    cell = method, "scratch", 0
    run("train", chosen, {"features": layout.features}, {"model": layout.model(*cell)})
    inputs = {"features": layout.features, "model": layout.model(*cell), "encoders": layout.encoders(0)}
    run("evaluate", chosen, inputs, {"report": layout.report(*cell)})
    if method == "joint":
        run("crossfit", chosen, {"features": layout.features}, {"crossfit": layout.crossfit(*cell)})


def _study_inputs(layout: Layout) -> dict[str, Path]:
    return {"reports": layout.reports, "encoders": layout.root / "encoders"}


def _parts(layout: Layout, root: Path) -> None:
    for index in range(2):
        params = small_params(**SECTIONS)
        part = {"index": index, "of": 2}
        extract = type(params.extract).model_validate({**params.extract.model_dump(), "part": part})
        chosen = params.model_copy(update={"extract": extract})
        run("extract", chosen, {"manifest": layout.manifest}, {"features": layout.part(index)})
    shutil.copytree(layout.part(0) / "manifest", root / "user")


def _outside(root: Path) -> None:
    """Pointers of DVC, a listing, a reply of Kubeflow's server, a compiled pipeline."""
    out = {"md5": f"{MD5}.dir", "size": 12, "nfiles": 2, "hash": "md5", "path": "clips"}
    (root / "clips.dvc").write_text(f"outs:\n- {json.dumps(out)}\n")
    lock = {"schema": "2.0", "stages": {"train": {"cmd": "x", "outs": [{**out, "path": "model"}]}}}
    (root / "dvc.lock").write_text(json.dumps(lock, indent=1))
    rows = [{"md5": MD5, "relpath": name} for name in ("a.wav", "sub/b.wav")]
    (root / "listing.dir").write_text(json.dumps(rows))
    task = {
        "task_id": "t",
        "display_name": "learn",
        "state": "FAILED",
        "error": {"message": "no\x1b[2J memory"},
    }
    task |= {"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-01T00:01:00Z"}
    task |= {"child_tasks": [{"pod_name": "p"}], "state_history": [{"error": {"message": "m"}}]}
    inner = {"components": {"comp": {"executorLabel": "e"}}, "pipelineInfo": {"name": "tiny"}}
    inner["root"] = {
        "dag": {"tasks": {"learn": {"componentRef": {"name": "comp"}, "taskInfo": {"name": "learn"}}}}
    }
    reply = {
        "run_id": "r-1",
        "state": "FAILED",
        "pipeline_spec": inner,
        "run_details": {"task_details": [task]},
    }
    (root / "reply.json").write_text(json.dumps(reply))
    kinds = {"data": "STRING", "seed": "NUMBER_INTEGER", "cells": "LIST"}
    parameters = {name: {"parameterType": kind} for name, kind in kinds.items()}
    outline = {"deploymentSpec": {"executors": {}}, "schemaVersion": "2.1.0", "sdkVersion": "kfp-2.17.0"}
    spec = {**inner, **outline, "root": {**inner["root"], "inputDefinitions": {"parameters": parameters}}}
    (root / "package.yaml").write_text(yaml.safe_dump(spec))
    (root / "args.yaml").write_text("seed: 3\ndata: 'prepare: {}'\ncells: [{method: joint}]\n")
