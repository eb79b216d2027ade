"""The README and the pages under docs keep up with the code."""

import importlib.util
import re
from pathlib import Path

import pytest
import torch

from ambidex.cli import make_parser
from ambidex.decide.allocators import ALLOCATORS, simplest_first
from ambidex.learn.method import METHODS
from ambidex.net.encoded import Encoded, EncodedFeatures, parts_of
from ambidex.testing import check_encoder
from helpers.outside import write_files_of_page

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


def _class_of_page(page, folder, file, name):
    """A class of the example that a page gives for `file`."""
    write_files_of_page(folder, ROOT / "docs" / page)
    spec = importlib.util.spec_from_file_location(f"example_{name}", folder / file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


def test_the_encoder_of_the_page_takes_sequences_alone_and_gives_tokens(tmp_path):
    steps = _class_of_page("model.md", tmp_path, "steps.py", "Steps")
    assert check_encoder(steps) == ["sequence"]
    assert steps.has_tokens


def test_the_addition_of_the_page_scales_features_and_tokens(tmp_path):
    damped = _class_of_page("training.md", tmp_path, "damped.py", "Damped")
    addition = damped(damped.Config(start=0.5), {"audio": None, "visual": None}, 3)
    audio, visual = torch.ones(2, 4), torch.ones(2, 5)
    present = torch.tensor([True, False])
    features = EncodedFeatures(
        {"audio": Encoded(audio, audio[:, None]), "visual": Encoded(visual, present=present)}
    )
    parts = parts_of(addition.encode(None, lambda inputs, present: features, {}, {}))
    assert parts["audio"].pooled.tolist() == [[0.5] * 4] * 2
    assert parts["audio"].tokens.tolist() == [[[0.5] * 4]] * 2
    assert parts["visual"].pooled.tolist() == [[0.5] * 5, [1.0] * 5]
    sum(part.pooled.sum() for part in parts.values()).backward()
    assert {name: factor.grad.item() for name, factor in addition.factors.items()} == {
        "audio": 8,
        "visual": 5,
    }
