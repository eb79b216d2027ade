"""Reading a report's HTML page the strict way: well-formed, self-contained, every picture described."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path


class Page(HTMLParser):
    """Collects what a page refers to, and its tables: rows of cells, each a list of its pieces of text."""

    def __init__(self):
        super().__init__()
        self.images, self.links, self.anchors, self.open, self.tags = [], [], set(), [], []
        self.tables = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append(tag)
        if tag not in ("img", "meta", "br", "link", "input"):
            self.open.append(tag)
        if tag == "img":
            self.images.append(given)
        if "href" in given:
            self.links.append(given["href"])
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append([])
        if "id" in given:
            assert given["id"] not in self.anchors
            self.anchors.add(given["id"])

    def handle_data(self, data):
        if self.open[-1:] and {"td", "th"} & set(self.open) and data.strip():
            self.tables[-1][-1][-1].append(data.strip())

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def tables_of(markup: str) -> list[list[list[list[str]]]]:
    """The tables in a piece of markup: tables, rows, cells, pieces of text (the value, then what stands below)."""
    page = Page()
    page.feed(markup)
    return page.tables


def read_page(path: Path) -> tuple[Page, str]:
    """The parsed page, after checking that it is one file that needs no network and no script."""
    text = path.read_text()
    page = Page()
    page.feed(text)
    assert page.open == []
    assert "http:" not in text
    assert "https:" not in text
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.images)
    assert all(len(image["alt"]) > 40 for image in page.images)
    assert not {"url(", "@import"} & set(re.findall(r"url\(|@import", text))
    for image in page.images:
        assert base64.b64decode(image["src"].partition(",")[2]).startswith(b"\x89PNG")
    assert all(link.startswith("#") and link[1:] in page.anchors for link in page.links)
    return page, text
