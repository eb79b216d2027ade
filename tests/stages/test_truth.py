"""The shipped run on the embedded data set, whose truth is known: the repaired decision layer must find it."""

from pathlib import Path

import pytest

from ambidex.configuration import load_params
from ambidex.files import read_json
from ambidex.layout import Layout
from ambidex.params import Params
from ambidex.stages import run

ROOT = Path(__file__).resolve().parents[2]


def _evaluated(layout: Layout, params: Params) -> Path:
    """The report of one cell, from manifest to evaluation, as `ambidex study` would make it."""
    train = params.train
    if not layout.features.exists():
        run("prepare", params, {}, {"manifest": layout.manifest})
        run("extract", params, {"manifest": layout.manifest}, {"features": layout.features})
    model = layout.model(train.method, train.regime, train.seed)
    report = layout.report(train.method, train.regime, train.seed)
    run("train", params, {"features": layout.features}, {"model": model})
    run("evaluate", params, {"features": layout.features, "model": model}, {"report": report})
    return report


def _shipped(seed: int, method: str) -> Params:
    settings = [
        f"train.seed={seed}",
        f"train.method={method}",
        "train.regime=scratch",
        "runtime.accelerator=cpu",
    ]
    return load_params(ROOT / "params.yaml", settings)


def _assert_truth_found(layout: Layout, report: Path) -> None:
    truth = read_json(layout.manifest / "dataset.json")["truth"]["informativeness"]
    one_sided = {c: max(worth, key=worth.get) for c, worth in truth.items() if len(set(worth.values())) > 1}
    assert len(one_sided) == 4
    assert set(one_sided.values()) == {"audio", "visual"}
    rows = (report / "plots" / "weights.csv").read_text().splitlines()
    header = rows[0].split(",")
    weights = {}
    for row in rows[1:]:
        cells = dict(zip(header, row.split(","), strict=True))
        if cells["allocator"] == "category":
            weights[cells["class"], cells["modality"]] = float(cells["weight"])
    for name, informative in one_sided.items():
        other = "visual" if informative == "audio" else "audio"
        assert weights[name, informative] > weights[name, other], name
    allocators = read_json(report / "metrics.json")["allocators"]
    assert allocators["category"]["nll"] < allocators["uniform"]["nll"]


def test_category_weights_find_the_informative_modality(tmp_path):
    layout = Layout(tmp_path)
    _assert_truth_found(layout, _evaluated(layout, _shipped(0, "multi_task")))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["joint", "multi_task"])
def test_category_weights_find_it_for_every_seed(tmp_path, method):
    layout = Layout(tmp_path)
    for seed in range(3):
        _assert_truth_found(layout, _evaluated(layout, _shipped(seed, method)))
