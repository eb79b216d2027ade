"""The package of docs/plugins.md, built and installed: every door finds its method and its encoder."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import yaml
from components import _call

from ambidex import stages
from ambidex.base.errors import ModelError, ParamsError
from ambidex.cli import main
from ambidex.commands.freshness import up_to_date
from ambidex.net.model import load_model
from ambidex.resolve import load_params
from ambidex.resolve.cell import resolve
from ambidex.testing import CheckError, check_encoder, check_method
from ambidex.testing.ranks import ranks
from helpers.checkout import ROOT
from helpers.outside import installed, pip_install, write_files_of_page
from helpers.runs import extracted, raw_params, write_params

CUB = {"encoders": {"left": {"name": "cub", "dim": 5}, "right": {"name": "mlp", "hidden": [8], "dim": 8}}}
SECTIONS = {
    "model": CUB,
    "pretrain": {"epochs": 1},
    "train": {"epochs": 1, "method": "lion"},
    "methods": {"lion": {"strength": 2.0}},
    "evaluate": {"allocators": ["uniform"], "allocator": "uniform", "diagnostics": ["logits"]},
    "study": {"methods": ["lion"], "regimes": ["scratch"], "seeds": [0]},
}


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outside")
    write_files_of_page(folder / "package")
    pip_install(folder / "package", folder / "installed")
    return folder / "installed"


@pytest.fixture
def lion(target):
    with installed(target):
        yield target


@pytest.fixture
def run(tmp_path):
    """Parameters beside `made`, a folder with a manifest and a feature store."""
    source = extracted(tmp_path / "made").manifest / "manifest.csv"
    return write_params(
        tmp_path / "params.yaml", prepare={"dataset": "manifest", "source": str(source)}, **SECTIONS
    )


def _main(path: Path, *words: str) -> int:
    return main([*words, "--params", str(path), "--runs", str(path.parent / "runs")])


def test_it_is_listed_with_its_distribution(lion, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # without a params.yaml
    none = str(tmp_path / "none.yaml")
    assert main(["methods"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("lion ")]
    assert line.endswith(
        "Lion: a sample counts more where one modality takes the lion's share. [ambidex-lion 0.1]"
    )
    assert main(["methods", "lion"]) == 0
    page = capsys.readouterr().out
    assert "- Comes from: ambidex-lion 0.1\n" in page
    assert "Guarded by" not in page
    assert "| `strength` | number | `1.0`" in page
    assert main(["encoders", "cub"]) == 0
    assert "It comes from ambidex-lion 0.1." in capsys.readouterr().out
    main(["doctor", "--params", none, "--runs", str(tmp_path)])
    (found,) = [line for line in capsys.readouterr().out.splitlines() if "plug-ins" in line]
    assert found.split(None, 2) == [
        "OK",
        "plug-ins",
        "method lion (ambidex-lion 0.1), kind scent (ambidex-lion 0.1), encoder cub (ambidex-lion 0.1)",
    ]


def test_docs_methods_md_stays_this_librarys_own(lion, capsys):
    assert main(["methods", "--page"]) == 0
    assert "lion" not in capsys.readouterr().out


def test_its_parameters_are_validated(lion, run, capsys):
    assert load_params(run).methods["lion"] == {"strength": 2.0}
    assert _main(run, "train", "--set", "methods.lion.strength=-1") == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "methods.lion.strength: got -1, expected" in told
    with pytest.raises(ParamsError, match=r"model.encoders.left.dims: unknown key; did you mean 'dim'"):
        load_params(run, ["model.encoders.left.dims=3"])


@contextmanager
def changed(target, old="", new=""):
    """Within, another line stands in the method's file; or `new` in place of `old`."""
    source = target / "ambidex_lion/lion.py"
    text = source.read_text()
    assert text.count(old) == 1 or not old
    source.write_text(text.replace(old, new) if old else text + "\n# changed\n")
    try:
        yield
    finally:
        source.write_text(text)


def test_it_is_named_in_the_card_and_its_code_counts(lion, run, tmp_path):
    params, model = load_params(run), tmp_path / "model"
    inputs = {"features": tmp_path / "made/features"}
    stages.run("train", params, inputs, {"model": model})
    card = json.loads((model / "card.json").read_text())
    assert set(card["plugins"]) == {"encoder cub", "method lion"}
    assert card["plugins"]["method lion"].startswith("ambidex-lion 0.1 ")
    loaded = load_model(model)
    assert (type(loaded.encoder("left")).__name__, loaded.encoder("left").dim) == ("Cub", 5)
    assert up_to_date("train", resolve(params), inputs, model)
    with changed(lion):
        assert not up_to_date("train", resolve(params), inputs, model)
    assert up_to_date("train", resolve(params), inputs, model)


@pytest.mark.slow
def test_a_study_runs_with_it(lion, run, capsys):
    assert _main(run, "study") == 0
    capsys.readouterr()
    model = run.parent / "runs/models/lion-scratch-0"
    with changed(lion):
        assert _main(run, "study") == 0
    told = capsys.readouterr().out
    assert f"train: wrote {model}" in told
    assert f"prepare: {run.parent / 'runs/manifest'} is up to date" in told


def test_a_component_trains_with_it(lion, run, tmp_path):
    features = tmp_path / "made/features"
    texts = [yaml.safe_dump(raw_params(**SECTIONS))]
    places = {"features": str(features), "encoders": ""}
    metrics = _call.call("train", texts, places, {"model": str(tmp_path / "model")}, {"train.seed": "1"})
    assert 0 <= metrics["val"]["accuracy"] <= 1
    assert "method lion" in json.loads((tmp_path / "model/card.json").read_text())["plugins"]


def test_without_the_package_its_model_says_what_is_missing(target, run, tmp_path):
    with installed(target):
        words = ("--features", str(tmp_path / "made/features"), "--out", str(tmp_path / "model"))
        assert _main(run, "train", *words) == 0
    with pytest.raises(ModelError, match=r"encoder 'cub' does not exist; .*allowed: .*mlp") as caught:
        load_model(tmp_path / "model")
    assert "\n" not in str(caught.value)


def test_the_loss_is_that_of_its_page(lion):
    from ambidex.testing.ground import make_method

    class Stub:
        labels = torch.tensor([0, 1])
        logits = torch.tensor([[2.0, 0.0], [0.0, 0.0]])

        def branches(self):
            return {"a": torch.tensor([[0.0, 0.0], [0.0, 3.0]]), "v": torch.tensor([[2.0, 0.0], [0.0, -3.0]])}

    # p_a = 0.5, p_v = 0.8808; 0.9526 and 0.0474; CE = 0.12693 and 0.69315
    expected = ((1 + 2 * 0.38080) * 0.12693 + (1 + 2 * 0.90515) * 0.69315) / 2
    found = make_method("lion", {"strength": 2.0}).objective(Stub())["task"]
    assert found.item() == pytest.approx(expected, abs=1e-4)


NOSE = """
import csv
import json
import sys
from pathlib import Path

import pytest

from ambidex.cli import main
from ambidex.net.model import load_model

root = Path(sys.argv[1])
with (root / "source.csv").open() as stream:
    rows = list(csv.DictReader(stream))
place = ["--params", str(root / "params.yaml"), "--runs", str(root / "runs")]
codes = [main([verb, *place]) for verb in ("prepare", "extract", "train")]
index = json.loads((root / "runs/features/index.json").read_text())
model = root / "runs/models/lion-scratch-0"
clip = ",".join(f"{m}={root / rows[0][m]}" for m in ("left", "right"))
codes.append(main(["predict", str(model), clip, "--json"]))
checks = pytest.main(["-q", "-p", "no:cacheprovider", str(root / "test_lion.py"), "-k", "scent or cub"])
card = json.loads((root / "runs/features/card.json").read_text())
print(json.dumps({
    "codes": codes,
    "checks": int(checks),
    "modalities": index["modalities"],
    "encoder": type(load_model(model).encoder("left")).__name__,
    "plugins": sorted(card["plugins"]),
}))
"""


@pytest.mark.slow
def test_a_process_extracts_its_kind_trains_and_predicts(target, tmp_path):
    """From text files to a prediction, as a user starts it: the package stands on the path from the start."""
    numbers = torch.randn(45, 2, 3, generator=torch.Generator().manual_seed(0))
    lines = ["sample_id,label,split,group,left,right"]
    for i, (left, right) in enumerate(numbers.tolist()):
        for name, values in (("left", left), ("right", right)):
            (tmp_path / f"{name}{i}.txt").write_text("\n".join(str(value + i % 3) for value in values))
        split = ("train", "val", "test")[i % 5 % 3]
        lines.append(f"s{i},{'abc'[i % 3]},{split},g{i},left{i}.txt,right{i}.txt")
    (tmp_path / "source.csv").write_text("\n".join(lines) + "\n")
    raw = raw_params(**SECTIONS, prepare={"dataset": "manifest", "source": str(tmp_path / "source.csv")})
    raw["extract"]["modalities"] = {name: {"kind": "scent", "size": 3} for name in ("left", "right")}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw))
    write_files_of_page(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", NOSE, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(target)))},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["codes"] == [0, 0, 0, 0], done.stderr
    assert found["checks"] == 0, done.stdout
    assert found["modalities"]["left"]["kind"] == "scent"
    rows = [i for i in range(45) if i % 5 % 3 == 0]
    mean = (numbers[rows, 0] + torch.tensor(rows)[:, None] % 3).mean(0)
    assert found["modalities"]["left"]["mean"] == pytest.approx(mean.tolist(), rel=1e-5)
    assert found["encoder"] == "Cub"
    assert found["plugins"] == ["kind scent"]


QUICK = ["card", "neutral", "loss_terms", "active", "finite", "order", "head", "micro_batches", "overflow"]


def test_it_passes_the_checks_of_its_page(lion):
    assert check_method("lion", only=QUICK) == QUICK
    assert {"spectrogram", "frames", "vector"} <= {*check_encoder("cub")}


@pytest.mark.slow
def test_it_passes_all_of_them(lion, tmp_path):
    passed = check_method("lion")
    assert {"resumed", "stopped", "scaled", "coefficients", "likelihoods", "waits_for_nothing", "acts"} < {
        *passed
    }
    ranks("lion", tmp_path)


FAULTS = {
    "neutral": (
        "super().objective(step)",
        "{'task': 2 * step.task_loss()}",
        "against joint training: expected .* bit for bit",
    ),
    "active": ("== 0", ">= 0", "expected other weights than joint training's"),
    "order": ("own.amax(dim=0)", "own[0]", "modalities in another order"),
    "micro_batches": (".mean()}", ".sum() / 8}", "in micro-batches, .*: expected a difference below 1e-05"),
}


@pytest.mark.parametrize("check", FAULTS)
def test_a_fault_in_it_fails_its_check(target, tmp_path, check):
    """The package as it is passes; with one mistake the check that it is about says so in one line."""
    (before, after, words), copy = FAULTS[check], tmp_path / "copy"
    shutil.copytree(target, copy, ignore=shutil.ignore_patterns("__pycache__"))
    with changed(copy, before, after), installed(copy):
        with pytest.raises(CheckError, match=f"^method lion.*{words}") as caught:
            check_method("lion", only=[check])
        assert "\n" not in str(caught.value)
