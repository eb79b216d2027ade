"""dvc.yaml: every stage names the code it runs, and a change re-runs what it must and nothing else."""

import json
import re
from pathlib import Path

import pytest
import yaml
from pipelines.dvc_yaml import main, renewed

from ambidex.base.errors import DataError
from ambidex.cli import make_parser
from ambidex.stages.code import CARRIES
from ambidex.stages.table import TABLE
from helpers.checkout import ROOT, checkout, dvc
from helpers.imports import closure, file_of

SHIPPED = tuple(name for name, stage in TABLE.items() if stage.shipped)
CELL = "${item.method}-${item.regime}-${item.seed}"
CELLS = ["${study.methods}", "${study.regimes}", "${study.seeds}"]
AS_DESIGNED = {
    "prepare": ([], ["prepare"], ["runs/manifest"]),
    "extract": ([], ["extract"], ["runs/features"]),
    "pretrain": (
        ["${extract.modalities}", "${study.seeds}"],
        ["pretrain", "model", "augment", "runtime"],
        ["runs/encoders/${item.seed}/${item.modality}"],
    ),
    "train": (
        CELLS,
        ["train", "model", "augment", "runtime", "methods.${item.method}"],
        [f"runs/models/{CELL}"],
    ),
    "evaluate": (CELLS, ["evaluate"], [{f"runs/reports/{CELL}": {"persist": True}}]),
    "compare": ([], ["compare", "study", "methods"], ["runs/study"]),
}
"""matrix, params and outs of each stage as they were written by hand before the table came"""
READS = {
    "prepare": {"${prepare.source}"},
    "extract": {"runs/manifest/manifest.csv", "runs/manifest/dataset.json"},
    "pretrain": {"runs/features/index.json"},
    "train": {"runs/features/index.json", "runs/encoders/${item.seed}"},
    "evaluate": {"runs/features/index.json", "runs/encoders/${item.seed}", f"runs/models/{CELL}"},
    "compare": {"runs/encoders", "runs/reports"},
}


def _left_out() -> frozenset[str]:
    """Every module that only carries values."""
    found = {name.removesuffix(".") for name in CARRIES}
    for folder in (name.removesuffix(".") for name in CARRIES if name.endswith(".")):
        place = ROOT / "src" / folder.replace(".", "/")
        found |= {
            f"{folder}.{'.'.join(path.relative_to(place).with_suffix('').parts)}"
            for path in place.rglob("*.py")
        }
    return frozenset(found)


PLUMBING = _left_out()

FAKE = """# Stands in for the command line: a model is the digest of its method's code, a report that of its model.
import hashlib
import sys
from pathlib import Path

verb, given = sys.argv[1], dict(zip(sys.argv[2::2], sys.argv[3::2]))
cell = "-".join(given.get(flag, "") for flag in ("--method", "--regime", "--seed"))
encoder = f"{given.get('--seed')}/{given.get('--modality')}"
places = {"prepare": "manifest", "extract": "features", "pretrain": f"encoders/{encoder}", "compare": "study"}
folder = Path("runs") / {**places, "train": f"models/{cell}", "evaluate": f"reports/{cell}"}[verb]
reads = {
    "train": Path(f"src/ambidex/learn/methods/{given.get('--method')}.py"),
    "evaluate": Path(f"runs/models/{cell}/index.json"),
}
content = hashlib.sha256(reads[verb].read_bytes()).hexdigest() if verb in reads else verb
folder.mkdir(parents=True, exist_ok=True)
for name in ("manifest.csv", "dataset.json", "index.json"):
    (folder / name).write_text(content)
with Path("calls.txt").open("a") as calls:
    print(verb, cell if verb in reads else encoder if verb == "pretrain" else "", file=calls)
"""


@pytest.fixture(scope="module")
def definition() -> dict:
    return yaml.safe_load((ROOT / "dvc.yaml").read_text())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return checkout(tmp_path, FAKE)


def rerun(project: Path) -> list[str]:
    """What `dvc repro` ran, in order."""
    (project / "calls.txt").unlink(missing_ok=True)
    dvc(project, "repro")
    calls = project / "calls.txt"
    return sorted(line.strip() for line in calls.read_text().splitlines()) if calls.exists() else []


def stale_after(project: Path, name: str) -> set[str]:
    """The stages that DVC would run after an edit of a file of the library."""
    file = project / "src/ambidex" / name
    before = file.read_text()
    file.write_text(before + "\nNEW = 1\n")
    found = json.loads(dvc(project, "status", "--json"))
    file.write_text(before)
    return {stage.partition("@")[0] for stage in found}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path}"
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize("stage", SHIPPED)
def test_stage_names_all_code_it_runs(definition: dict, stage: str) -> None:
    declared = [ROOT / dep for dep in definition["stages"][stage]["deps"] if dep.startswith("src/")]
    needed = {
        file_of(ROOT / "src", name) for name in closure(ROOT / "src", f"ambidex.stages.{stage}", PLUMBING)
    }
    empty = {
        path for path in needed if path and path.name == "__init__.py" and "import" not in path.read_text()
    }
    missing = [p for p in needed - empty if p and not any(p == dep or dep in p.parents for dep in declared)]
    assert not missing, f"dvc.yaml, {stage}: does not depend on {sorted(map(str, missing))}"


def test_every_method_names_all_code_it_runs(definition: dict) -> None:
    deps = definition["stages"]["train"]["deps"]
    for path in (ROOT / "src/ambidex/learn/methods").glob("[a-z]*.py"):
        declared = [ROOT / dep.replace("${item.method}", path.stem) for dep in deps]
        needed = closure(
            ROOT / "src", f"ambidex.learn.methods.{path.stem}", PLUMBING | {"ambidex.learn.methods"}
        )
        files = {file_of(ROOT / "src", name) for name in needed}
        missing = [f for f in files if f and not any(f == dep or dep in f.parents for dep in declared)]
        assert not missing, f"dvc.yaml, train of {path.stem}: does not depend on {missing}"


def test_it_is_not_stale() -> None:
    text = (ROOT / "dvc.yaml").read_text()
    assert renewed(text) == text, "run `make compile`"


@pytest.mark.parametrize("stage", SHIPPED)
def test_a_stage_is_what_it_was_when_people_wrote_it(definition: dict, stage: str) -> None:
    found = definition["stages"][stage]
    assert (list(found.get("matrix", {}).values()), found["params"], found["outs"]) == AS_DESIGNED[stage]
    assert {dep for dep in found["deps"] if not dep.startswith("src/")} == READS[stage]
    assert list(definition["stages"]) == list(AS_DESIGNED)


def test_an_allocator_a_diagnostic_a_page_and_a_card_retrain_nothing(definition: dict) -> None:
    for stage in ("pretrain", "train"):
        for dep in definition["stages"][stage]["deps"]:
            for other in (
                "decide/allocators/gate.py",
                "judge/diagnose/probes.py",
                "report/html.py",
                "learn/methods/cards/ogm_ge.py",
            ):
                path = f"src/ambidex/{other}"
                assert (ROOT / path).exists()
                assert not f"{path}/".startswith(f"{dep}/"), f"{stage} depends on {path}"


def test_a_preset_trains_again(definition: dict) -> None:
    """DVC reads params.yaml alone, where a preset is no more than a name."""
    assert "src/ambidex/learn/methods/presets" in definition["stages"]["train"]["deps"]
    assert "src/ambidex/learn/methods/presets" not in definition["stages"]["pretrain"]["deps"]


def test_what_a_person_edits_stays_and_what_is_ours_comes_back(tmp_path: Path) -> None:
    file = tmp_path / "dvc.yaml"
    shipped = (ROOT / "dvc.yaml").read_text()
    own = "  my-own.stage: # mine\n    cmd: make tea\n    outs: [tea]\n\n  # a remark\n"
    mine = shipped.replace("  train:\n", f"{own}  train:\n").replace("desc: the first cell", "desc: my cell")
    spoilt = mine.replace("      - src/ambidex/learn/engine.py\n", "").replace(
        "cmd: ambidex extract\n", "cmd: true\n"
    )
    assert spoilt != mine
    file.write_text(spoilt)
    assert main(["--file", str(file)]) == 0
    assert file.read_text() == mine
    file.write_text("metrics: []\n")
    assert main(["--file", str(file)]) == DataError.exit_code
    assert file.read_text() == "metrics: []\n"


def test_a_stage_that_is_taken_out_stays_out_and_is_no_dependency() -> None:
    shipped = (ROOT / "dvc.yaml").read_text()
    start, end = shipped.index("  pretrain:\n"), shipped.index("  train:\n")
    found = yaml.safe_load(renewed(shipped[:start] + shipped[end:]))["stages"]
    assert "pretrain" not in found
    for stage in ("train", "evaluate", "compare"):
        assert not any("encoders" in dep for dep in found[stage]["deps"] if dep.startswith("runs/"))


@pytest.mark.parametrize("stage", SHIPPED)
def test_the_command_line_knows_every_command(definition: dict, stage: str) -> None:
    program, *words = definition["stages"][stage]["cmd"].split()
    options = make_parser().parse_args(words)
    assert (program, options.verb.name) == ("ambidex", stage)


def test_dvc_reads_the_pipeline(project: Path) -> None:
    names = [line.split()[0] for line in dvc(project, "stage", "list").splitlines()]
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    study, modalities = params["study"], params["extract"]["modalities"]
    cells = len(study["methods"]) * len(study["regimes"]) * len(study["seeds"])
    assert sum(name.startswith("train@") for name in names) == cells
    assert sum(name.startswith("evaluate@") for name in names) == cells
    assert sum(name.startswith("pretrain@") for name in names) == len(modalities) * len(study["seeds"])


def test_the_stage_that_the_docs_offer_fits_in(project: Path) -> None:
    text = (ROOT / "docs/training.md").read_text()
    (block,) = re.findall(r"```yaml\n(  crossfit:.*?)```", text, re.DOTALL)
    edit(project / "dvc.yaml", "  evaluate:\n", f"{block}\n  evaluate:\n")
    assert main(["--file", str(project / "dvc.yaml")]) == 0
    names = [line.split()[0] for line in dvc(project, "stage", "list").splitlines()]
    study = yaml.safe_load((project / "params.yaml").read_text())["study"]
    cells = len(study["methods"]) * len(study["regimes"]) * len(study["seeds"])
    assert sum(name.startswith("crossfit@") for name in names) == cells
    stages = yaml.safe_load((project / "dvc.yaml").read_text())["stages"]
    sections = {"crossfit", "pretrain", "train", "model", "augment", "runtime", "methods.${item.method}"}
    assert set(stages["crossfit"]["params"]) == sections
    assert stages["crossfit"]["outs"] == [f"runs/crossfit/{CELL}"]
    assert f"runs/crossfit/{CELL}" in stages["evaluate"]["deps"]
    assert make_parser().parse_args(stages["crossfit"]["cmd"].split()[1:]).verb.name == "crossfit"


@pytest.mark.slow
def test_a_change_reruns_its_own_cells_only(project: Path) -> None:
    edit(project / "params.yaml", "methods: [multi_task, joint]", "methods: [joint, ogm_ge]")
    edit(project / "params.yaml", "seeds: [0, 1, 2]", "seeds: [0, 1]")
    assert len(rerun(project)) == 2 + 4 + 8 + 8 + 1
    assert rerun(project) == []
    assert stale_after(project, "report/html.py") == {"evaluate", "compare"}
    assert stale_after(project, "learn/loop/batches.py") == {"pretrain", "train"}

    unfinished = project / "runs/models/ogm_ge-scratch-0.partial/checkpoint"
    unfinished.parent.mkdir()
    unfinished.write_text("half a run")
    saved = project / "runs/reports/ogm_ge-scratch-0/model/model.json"
    saved.parent.mkdir()
    saved.write_text("saved by evaluate --save")
    cells = [f"ogm_ge-{regime}-{seed}" for regime in ("pretrained", "scratch") for seed in (0, 1)]
    both = sorted(f"{stage} {cell}" for stage in ("train", "evaluate") for cell in cells)
    method = project / "src/ambidex/learn/methods/ogm_ge.py"
    method.write_text(method.read_text() + "\n# changed\n")
    assert rerun(project) == ["compare", *both]
    assert unfinished.read_text() == "half a run"
    assert saved.read_text() == "saved by evaluate --save"

    edit(project / "params.yaml", "ogm_ge: {}", "ogm_ge: {alpha: 0.5}")
    trained = [line for line in both if line.startswith("train")]
    assert rerun(project) == [
        "compare",
        *trained,
    ]  # to the same models; compare reads which methods are joint

    edit(project / "params.yaml", "resamples: 1000", "resamples: 1001")
    assert {line.split()[0] for line in rerun(project)} == {"evaluate"}
    assert rerun(project) == []
