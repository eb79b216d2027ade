"""The README and the pages under docs keep up with the code."""

import re
from pathlib import Path

import pytest

from ambidex.cli import make_parser
from ambidex.decide.allocators import ALLOCATORS, simplest_first
from ambidex.learn.method import METHODS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def _table_names(text, header):
    """The names in the first column of the table whose header starts with `header`."""
    table = text.split(f"| {header} |", 1)[1].split("\n\n", 1)[0]
    return re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)


def test_the_tables_list_what_the_registry_holds():
    text = (ROOT / "README.md").read_text()
    assert sorted(_table_names(text, "method")) == METHODS.names()


@pytest.mark.parametrize("page", ["README.md", "docs/decision_layer.md"])
def test_allocators_stand_in_the_order_in_which_auto_prefers_them(page):
    """The table of the decision layer says so, and reports show them in this order too."""
    listed = _table_names((ROOT / page).read_text(), "allocator")
    assert listed == sorted(ALLOCATORS.names(), key=simplest_first)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_and_verb_exists(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    verbs = make_parser().format_help().split("verbs:", 1)[1].split()
    text = page.read_text()
    shell = "\n".join(re.findall(r"^```(?:\w*)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL))
    for target in re.findall(r"`make ([a-z-]+)[^`]*`", text):
        assert target in targets, target
    for verb in re.findall(r"^\s*ambidex ([a-z]+)", shell, flags=re.MULTILINE):
        assert verb in verbs, verb
