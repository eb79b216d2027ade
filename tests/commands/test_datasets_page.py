"""docs/datasets.md and `ambidex datasets` speak of the same data sets: all of them."""

import re
from pathlib import Path

from ambidex.commands.plugins import listing
from ambidex.data.datasets import DATASETS

PAGE = (Path(__file__).parents[2] / "docs/datasets.md").read_text()


def test_every_data_set_has_a_section_and_no_other_one_has():
    headings = re.findall(r"^## .*$", PAGE, re.MULTILINE)
    named = [name for heading in headings for name in re.findall(r"`([a-z0-9_]+)`", heading)]
    assert sorted(named) == DATASETS.own()


def test_the_table_of_the_page_names_each_once_and_leads_to_its_section():
    rows = [
        pair
        for line in PAGE.splitlines()
        if line.startswith("| [`")
        for pair in re.findall(r"\[`([a-z0-9_]+)`\]\(#([^)]+)\)", line.split("|")[1])
    ]
    assert sorted(name for name, _ in rows) == DATASETS.own()
    headings = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert {anchor for _, anchor in rows} <= anchors


def test_the_list_has_one_line_for_each():
    lines = [line for line in listing("datasets").splitlines() if line and not line.startswith("`")]
    assert [line.split()[0] for line in lines] == DATASETS.own()
    assert all(len(line.split()) > 3 for line in lines)


def test_every_option_is_on_the_page():
    """In the section of its data set, or in that of the one whose options it shares."""
    sections = {name: part for part in re.split(r"^## ", PAGE, flags=re.MULTILINE) for name in _names(part)}
    shared = {"balanced_av": "vggsound"}
    for name, plugin in DATASETS.all().items():
        text = sections[name] + sections.get(shared.get(name, ""), "")
        lacking = [option for option in plugin.Config.model_fields if f"`{option}`" not in text]
        assert not lacking, (name, lacking)


def _names(part):
    return re.findall(r"`([a-z0-9_]+)`", part.splitlines()[0]) if part.strip() else []
