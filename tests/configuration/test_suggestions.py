"""Whatever a message tells the reader to type can be typed: verbs and flags, keys, values, lines of params.yaml."""

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from ambidex.cli import make_parser
from ambidex.configuration.params import Params
from ambidex.report.study.claim import claim
from ambidex.report.study.recipe import JOINT, Recipe, joint_variants
from ambidex.report.study.repair import STEP_SIZE, shipped
from ambidex.resolve import apply_override, load_params, parse_params
from ambidex.resolve.cell import resolve
from helpers.runs import small_params

ROOT = Path(__file__).resolve().parents[2]
HOLE = "\N{BULLET}"
"""stands for what a message fills in"""
SUFFIXES = ("csv", "json", "html", "py", "safetensors", "yaml")
SECTIONS = "|".join(Params.model_fields)


def strings(path: Path) -> Iterator[str]:
    """Every text of a module but its docstrings; what an f-string fills in is a HOLE."""
    tree = ast.parse(path.read_text())
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            skipped |= {
                id(b.value)
                for b in node.body
                if isinstance(b, ast.Expr) and isinstance(b.value, ast.Constant)
            }
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(p.value) if isinstance(p, ast.Constant) else HOLE for p in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.value


@cache
def messages() -> list[tuple[str, str]]:
    """Every text of the library, with its file."""
    files = sorted((ROOT / "src/ambidex").rglob("*.py"))
    return [(str(path.relative_to(ROOT)), text) for path in files for text in strings(path)]


@cache
def everywhere() -> list[tuple[str, str]]:
    """Every text of the library and of the pages."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return messages() + [(path.name, path.read_text()) for path in pages]


def found(pattern: str, where: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, match) for name, text in where for match in re.findall(pattern, text)]


def test_braces_and_brackets_close():
    """One brace too many, in a text of which one half was an f-string and the other was not."""
    open_ones = [
        (name, text)
        for name, text in messages()
        for a, b in ("{}", "()", "[]")
        if " " in text and text.count(a) != text.count(b)
    ]
    assert open_ones == []


def test_every_command_parses():
    every = found(r"`(ambidex [^`]*)`", everywhere())
    commands = [(name, text) for name, text in every if not re.match(rf"ambidex ({HOLE}|[A-Z]+)", text)]
    assert len(commands) > 40
    for name, text in commands:
        words = shlex.split(text.replace(HOLE, "").replace("...", ""))[1:]
        if "--help" in words or "|" in text or ">" in text:
            continue
        if len(words) == 1:  # a verb, spoken of by its name
            words.append("--help")
        assert parses(words), f"{name}: `{text}` does not parse"


def parses(words: list[str]) -> bool:
    try:
        make_parser().parse_args(words)
    except SystemExit as reason:
        return reason.code == 0  # --help
    return True


def overrides() -> list[tuple[str, str]]:
    quoted = found(r"--set '([^']+)'", everywhere())
    plain = found(r"--set ([a-z_]+\.[\w.]+=[^\s`;,)|]+)", everywhere())
    return [(name, text) for name, text in [*quoted, *plain] if HOLE not in text and "VALUE" not in text]


def test_every_override_is_one():
    given = [(name, text) for name, text in overrides() if not text.startswith(("section.", "key."))]
    assert len(given) > 15
    for name, text in given:
        raw: dict[str, Any] = {}
        apply_override(raw, text)
        key = text.split("=")[0]
        assert known(Params, key.split(".")), f"{name}: --set {text} names no parameter"


def known(model: Any, keys: list[str]) -> bool:
    """Whether the path leads to a parameter; below a free mapping (options by name) anything does."""
    if not keys:
        return True
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return True
    field = model.model_fields.get(keys[0])
    if field is None:
        return model.model_config.get("extra") == "allow"
    return known(field.annotation, keys[1:])


def test_every_key_that_a_message_names_is_one():
    pattern = rf"(?<![\w./-])((?:{SECTIONS})\.[a-z_]+)(?![\w(/])"
    named = [(name, key) for name, key in found(pattern, messages()) if key.split(".")[1] not in SUFFIXES]
    assert len(named) > 40
    wrong = [(name, key) for name, key in named if not known(Params, key.split("."))]
    assert wrong == []


def test_the_line_for_another_step_size_is_one():
    """The verdict that asks for it, and a study that has it."""
    told = " ".join(shipped(Recipe("a + b", [JOINT], {"scratch": JOINT}, {"scratch": TESTS})).sentences)
    assert STEP_SIZE in told
    line = yaml.safe_load(STEP_SIZE)
    (label,) = line
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["methods"] |= line
    raw["study"]["methods"].append(label)
    params = parse_params(raw)
    assert resolve(params, label).plugin == JOINT
    assert joint_variants([resolve(params, name) for name in params.study.methods]) == [JOINT, label]


TESTS = {
    metric: {"difference": 0.0, "low": -0.1, "high": 0.1, "mark": "same", "comparisons": 1}
    for metric in ("accuracy", "nll")
}


def test_the_methods_that_a_verdict_asks_for_exist():
    params = small_params(study={"methods": ["joint"], "regimes": ["scratch"]})
    for verdict in claim([], params.compare.reference_method, [resolve(params, "joint")]):
        (sentence,) = verdict.sentences
        for name in re.findall(r"add (\w+) ", sentence):
            if name != "a":
                raw = yaml.safe_load((ROOT / "params.yaml").read_text())
                raw["study"]["methods"].append(name)
                assert resolve(parse_params(raw), name).plugin == name
    assert load_params(ROOT / "params.yaml").study.seeds == [0, 1, 2]  # three at least: see docs/report.md
