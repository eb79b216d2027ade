"""Which code a stage's output depends on: an edit makes anew what it can change, and nothing else."""

import importlib
import pkgutil
import shutil
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pytest

import ambidex
from ambidex.base.registry import Plugins
from ambidex.base.source import graph
from ambidex.base.source.graph import file_of
from ambidex.base.source.text import Source, parse_source, read_source
from ambidex.configuration.params import Evaluate, Params
from ambidex.resolve.cell import resolve
from ambidex.stages import code, work_of
from ambidex.stages._chosen import chosen
from ambidex.stages.code import CARRIES, Chosen, code_fingerprint, fingerprint_of, modules
from ambidex.stages.table import TABLE
from helpers.checkout import ROOT
from helpers.runs import small_params

TRAIN = {"pretrain", "train", "crossfit"}
PARAMS = small_params(train={"method": "joint"}, pretrain={"modality": "left"})
JOINT: dict[str, Chosen] = {
    stage: chosen(work_of(stage, PARAMS), declared.chosen) for stage, declared in TABLE.items()
}


class Copy:
    """A copy of the library; an edit lasts for one question."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "src"
        self.edited: dict[Path, Source] = {}
        shutil.copytree(
            ROOT / "src/ambidex", self.home / "ambidex", ignore=shutil.ignore_patterns("__pycache__")
        )

    def read(self, path: Path) -> Source:
        return self.edited.get(path) or read_source(path)

    def fingerprints(self, names: dict[str, Chosen]) -> dict[str, str]:
        return {stage: fingerprint_of(modules(stage, chosen, self.home)) for stage, chosen in names.items()}

    @cached_property
    def joint(self) -> dict[str, str]:
        return self.fingerprints(JOINT)

    def changed(self, name: str, edit: str, names: dict[str, Chosen] = JOINT) -> set[str]:
        """The stages to which it matters that `edit` is added to a file, or `old -> new` replaced in it."""
        file = self.home / "ambidex" / name
        kept = file.read_text() if file.exists() else None
        before = self.joint if names is JOINT else self.fingerprints(names)
        old, arrow, new = edit.partition(" -> ")
        assert not arrow or (kept is not None and old in kept)
        text = (kept or "").replace(old, new) if arrow else (kept or "") + edit
        file.write_text(text)
        if file.suffix == ".py":
            self.edited[file] = parse_source(text)
        try:
            after = self.fingerprints(names)
        finally:
            self.edited.clear()
            file.unlink() if kept is None else file.write_text(kept)
        return {stage for stage in names if after[stage] != before[stage]}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    found = Copy(tmp_path_factory.mktemp("copy"))
    with pytest.MonkeyPatch.context() as patched:
        for module in (code, graph):
            patched.setattr(module, "read_source", found.read)
        yield found


def test_a_copy_has_the_same_fingerprints(copy: Copy) -> None:
    """Whatever the folder: a run card of one machine is true on another."""
    found = copy.fingerprints(JOINT)
    assert found == {stage: fingerprint_of(modules(stage, JOINT[stage])) for stage in TABLE}
    assert len(set(found.values())) == len(TABLE)


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        ("learn/engine.py", "\n# a comment\n"),
        ("learn/engine.py", '"""THE -> """The'),
        ("learn/loop/batches.py", '\n"""a text that stands alone"""\n'),
        ("learn/loop/clock.py", "\n\n\n\n"),
        ("report/html.py", "\n# a comment\n"),
        ("configuration/params.py", "\nNEW = 1\n"),
        ("base/records.py", "\nNEW = 1\n"),
        ("commands/study.py", "\nNEW = 1\n"),
        ("cli.py", "\nNEW = 1\n"),
    ],
)
def test_it_matters_to_no_stage(copy: Copy, name: str, edit: str) -> None:
    if name == "learn/engine.py" and "->" in edit:
        edit = _docstring_edit(copy.home / "ambidex/learn/engine.py")
    assert copy.changed(name, edit) == set()


def _docstring_edit(file: Path) -> str:
    first = file.read_text().partition("\n")[0]
    return f'{first} -> """Another first line.'


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("learn/loop/batches.py", TRAIN),
        ("learn/loop/optimise.py", TRAIN),
        ("learn/loop/passes.py", TRAIN),
        ("learn/loop/state.py", TRAIN),
        ("learn/engine.py", TRAIN),
        ("learn/method.py", TRAIN),
        ("stages/_training.py", TRAIN),
        ("stages/train.py", {"train", "crossfit"}),
        ("stages/pretrain.py", {"pretrain", "crossfit"}),
        ("learn/methods/joint.py", TRAIN),
        ("learn/methods/agm.py", set()),
        ("learn/methods/_scores.py", set()),
        ("learn/methods/brand_new.py", set()),
        ("learn/methods/cards/joint.py", set()),
        ("net/encoders/mlp.py", {*TRAIN, "evaluate"}),
        ("net/encoders/resnet18.py", {"evaluate"}),
        ("net/encoders/__init__.py", {*TRAIN, "evaluate"}),
        ("net/additions/__init__.py", {*TRAIN, "evaluate"}),
        ("net/additions/own_heads.py", {"evaluate"}),
        ("net/fusion/concat.py", {*TRAIN, "evaluate"}),
        ("net/fusion/film.py", {"evaluate"}),
        ("decide/allocators/gate.py", {"evaluate"}),
        ("decide/allocators/_pool.py", {"evaluate"}),
        ("judge/diagnose/probes.py", {"evaluate"}),
        ("report/html.py", {"evaluate", "compare"}),
        ("report/run_page.py", {"evaluate"}),
        ("report/study/page.py", {"compare"}),
        ("report/style.css", {"evaluate", "compare"}),
        ("data/store/reading.py", {"extract", "merge", "evaluate", *TRAIN}),
        ("data/store/shards.py", {"extract", "merge"}),
        ("data/kinds/vector.py", {"extract", "merge", "evaluate", *TRAIN}),
        ("data/kinds/log_mel.py", set()),
        ("data/media/audio.py", {"evaluate"}),  # encoder hf needs torchaudio to be importable
        ("data/datasets/_splitting.py", {"prepare"}),
        ("data/datasets/synthetic.py", {"prepare"}),
        ("data/datasets/cremad.py", set()),
    ],
    ids=lambda value: value if isinstance(value, str) else "stages",
)
def test_an_edit_matters_to_these_stages(copy: Copy, name: str, stages: set[str]) -> None:
    edit = "\n.new { color: red }\n" if name.endswith(".css") else "\nNEW = 1\n"
    assert copy.changed(name, edit) == stages


def test_a_method_brings_what_it_imports_and_what_it_has_built_into_the_model(copy: Copy) -> None:
    def names(method: str) -> dict[str, Chosen]:
        params = small_params(
            train={"method": method}, methods={"own": {"use": "multi_task", "heads": "own"}}
        )
        return {"train": chosen(resolve(params), TABLE["train"].chosen)}

    for method, name, matters in (
        ("agm", "learn/methods/agm.py", True),
        ("agm", "learn/methods/joint.py", False),
        ("ogm_ge", "learn/methods/_scores.py", True),
        ("mla", "net/fusion/shared_entropy.py", True),
        ("mla", "net/fusion/film.py", False),
        ("unimodal_ensemble", "net/fusion/sum.py", True),
        ("multi_task", "net/additions/own_heads.py", False),
        ("own", "net/additions/own_heads.py", True),
        ("own", "net/additions/mmtm.py", False),
        ("greedy", "net/additions/mmtm.py", True),
    ):
        assert ("train" in copy.changed(name, "\nNEW = 1\n", names(method))) == matters, (method, name)


def test_what_a_card_says_of_a_method_makes_nothing_anew(copy: Copy) -> None:
    """Presets neither: they change what the parameters are, and these count by themselves."""
    params = small_params(train={"method": "ogm_ge"}, pretrain={"modality": "left"})
    names = {stage: chosen(work_of(stage, params), declared.chosen) for stage, declared in TABLE.items()}
    for folder in ("cards", "presets"):
        assert copy.changed(f"learn/methods/{folder}/ogm_ge.py", "\nNEW = 1\n", names) == set()
    assert copy.changed("learn/methods/ogm_ge.py", "\nNEW = 1\n", names) == {"train", "crossfit"}


def test_a_label_stands_for_the_method_that_it_uses() -> None:
    slow = {"methods": {"slow": {"use": "ogm_ge", "train": {"learning_rate": 1e-4}}}}
    found = chosen(resolve(small_params(train={"method": "slow"}, **slow)), TABLE["train"].chosen)
    assert found["ambidex.learn.methods"] == {"ogm_ge"}
    same = [small_params(train={"method": method}, **slow) for method in ("slow", "ogm_ge")]
    assert len({code_fingerprint("train", resolve(params)) for params in same}) == 1


def test_a_plug_in_from_elsewhere_counts_with_what_it_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "my_balance"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "mine.py").write_text("from .formula import rate\n")
    (package / "formula.py").write_text("def rate():\n    return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    real = Plugins.modules

    def found(plugins: Plugins[object]) -> dict[str, str]:
        more = {"mine": "my_balance.mine"} if plugins.package == "ambidex.learn.methods" else {}
        return real(plugins) | more

    monkeypatch.setattr(Plugins, "modules", found)
    ours = {**JOINT["train"], "ambidex.learn.methods": {"mine"}}

    def fingerprint() -> str:
        return fingerprint_of(modules("train", ours))

    def read(path: Path) -> Source:
        return parse_source(path.read_text()) if package in path.parents else read_source(path)

    for module in (code, graph):
        monkeypatch.setattr(module, "read_source", read)

    assert {"my_balance", "my_balance.mine", "my_balance.formula"} <= modules("train", ours).keys()
    before = fingerprint()
    (package / "formula.py").write_text("def rate():\n    # the first one\n    return 1\n")
    assert fingerprint() == before
    (package / "formula.py").write_text("def rate():\n    return 2\n")
    assert fingerprint() != before
    assert "my_balance.mine" not in modules("train", JOINT["train"])


def _room(module: str) -> str:
    """The room of the library that a module is in; in `base` and `judge`, of which few stages need all, the module."""
    room, *inner = module.split(".")[1:]
    return ".".join([room, *inner[:1]]) if room in ("base", "judge") else room


@pytest.mark.parametrize("stage", TABLE)
def test_the_declared_packages_are_those_that_the_imports_reach(stage: str) -> None:
    """With every plug-in that may be chosen. A package more or less is for a person to see, in the stage table."""
    reached = {_room(name) for name in modules(stage)} - {"stages", "judge"}
    declared = set(TABLE[stage].packages)
    assert reached - declared == set(), f"{stage}: depends on these; declare them, or cut the import"
    assert declared - reached == set(), f"{stage}: declares these, and depends on them no more; strike them"


def test_every_registry_of_the_library_is_found() -> None:
    """One that is made in a way that the reader of sources does not see would never make anything anew."""
    names = [module.name for module in pkgutil.walk_packages(ambidex.__path__, "ambidex.")]
    values = [value for name in names for value in vars(importlib.import_module(name)).values()]
    made = {value.package for value in values if isinstance(value, Plugins)}
    files = (ROOT / "src/ambidex").rglob("*.py")
    seen = {registry[1] for file in files for registry in read_source(file).registries}
    assert made == seen
    assert len(made) >= 6


def test_what_is_declared_exists() -> None:
    registries = {name for declared in TABLE.values() for name in (*declared.chosen, *declared.unused)}
    for name in (*(one.removesuffix(".") for one in CARRIES), *registries):
        assert file_of(name) is not None, name
    assert tuple(f"evaluate.{key}" for key in Evaluate.SHAPES_CONTRIBUTIONS) == TABLE["crossfit"].also
    for declared in TABLE.values():
        for section in declared.sections:
            assert section in Params.model_fields


def test_each_file_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """About a tenth of a second at the first stage of a process, next to nothing at the next ones."""
    for stage in TABLE:
        code_fingerprint(stage, work_of(stage, PARAMS))
    before = read_source.cache_info().misses
    code._fingerprint.cache_clear()
    for stage in TABLE:
        code_fingerprint(stage, work_of(stage, PARAMS))
    assert read_source.cache_info().misses == before
