"""Building one HTML page from small pieces: text is escaped, nothing refers to a network, no script is needed."""

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources

from ambidex.report.chart import Drawn


class Html(str):
    """Text that is markup already; any other str is escaped when it enters a page."""

    __slots__ = ()


Text = str | Html


def safe(text: Text) -> Html:
    """`text` as markup: escaped unless it is Html."""
    return text if isinstance(text, Html) else Html(escape(str(text)))


def join(pieces: Iterable[Html], between: str = "\n") -> Html:
    """Pieces of markup one after the other."""
    return Html(between.join(pieces))


def tag(name: str, *content: Text, **attributes: str) -> Html:
    """`<name attribute="value">content</name>`; write `class_` for the attribute class."""
    markup = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value, quote=True)}"'
        for key, value in attributes.items()
    )
    return Html(f"<{name}{markup}>{''.join(safe(part) for part in content)}</{name}>")


def paragraph(text: Text, class_: str = "") -> Html:
    """A paragraph, with an optional class; empty where there is no text."""
    if not text:
        return Html("")
    return tag("p", text, class_=class_) if class_ else tag("p", text)


def section(anchor: str, title: str, *blocks: Html) -> Html:
    """A part of the page with a heading that the contents list links to."""
    return tag("section", tag("h2", title), join(blocks), id=anchor)


def bullets(items: Iterable[Text], class_: str = "findings") -> Html:
    """A list; empty where there are no items."""
    entries = [tag("li", item) for item in items]
    return tag("ul", join(entries), class_=class_) if entries else Html("")


def notice(text: Text, level: str = "warning") -> Html:
    """A box that must not be overlooked; `level` is `danger`, `warning` or `note`. Commands stand in backticks."""
    word = {"danger": "Caution", "warning": "Check", "note": "Note"}[level]
    markup = Html(re.sub(r"`([^`]+)`", r"<code>\1</code>", safe(text)))
    return tag("div", tag("strong", f"{word}: "), markup, class_=f"notice {level}", role="note")


def tiles(items: Sequence[tuple[str, str, str]]) -> Html:
    """Big numbers in a row: (value, what it is, a line of explanation)."""
    cells = [
        tag("div", tag("b", value), tag("span", name, class_="name"), tag("small", note), class_="tile")
        for value, name, note in items
    ]
    return tag("div", join(cells), class_="tiles")


def picture(drawn: Drawn) -> Html:
    """A chart with its title above and the way to read it below."""
    image = Html(
        f'<img src="{drawn.source}" alt="{escape(drawn.alt, quote=True)}" style="width:{drawn.width}px">'
    )
    caption = tag("figcaption", drawn.how) if drawn.how else Html("")
    frame = tag("div", image, class_="frame")
    return tag("figure", tag("h3", drawn.title), frame, caption, id=f"chart-{drawn.name}")


def table(
    columns: Sequence[Text],
    rows: Sequence[Sequence[Text]],
    caption: Text = "",
    groups: Sequence[tuple[str, int]] = (),
) -> Html:
    """A table whose first column holds names. A row of one cell is a heading over the rows below it.

    `groups`: (name, how many columns it spans) from left to right, a line above the columns' own names.
    """
    head = tag("tr", *(tag("th", column, scope="col") for column in columns))
    if groups:
        spans = [tag("th", name, scope="colgroup", colspan=str(count)) for name, count in groups]
        head = Html(tag("tr", *spans, class_="spans") + head)
    body = []
    for first, *numbers in rows:
        if numbers:
            body.append(tag("tr", tag("th", first, scope="row"), *(tag("td", cell) for cell in numbers)))
        else:
            heading = tag("th", first, scope="rowgroup", colspan=str(len(columns)))
            body.append(tag("tr", heading, class_="group"))
    above = tag("caption", tag("span", caption)) if caption else Html("")
    inner = tag("table", above, tag("thead", head), tag("tbody", join(body)), class_="data")
    return tag("div", inner, class_="scroll")


_SEARCH = (
    "const t=this.value.toLowerCase();"
    "for(const r of this.closest('.search').querySelectorAll('tbody tr'))"
    "r.hidden=!r.cells[0].textContent.toLowerCase().includes(t)"
)


def searchable(label: str, contents: Html) -> Html:
    """A table with a field above: only rows whose name holds what is typed stay. Without scripts all rows stay."""
    field = tag("input", type="search", oninput=_SEARCH).removesuffix("</input>")
    return tag("div", tag("label", f"{label} ", Html(field)), contents, class_="search")


def facts(items: Mapping[str, Text]) -> Html:
    """A list of names and values."""
    pairs = [Html(tag("dt", name) + tag("dd", value)) for name, value in items.items()]
    return tag("dl", join(pairs), class_="facts")


def terms(items: Mapping[str, Text]) -> Html:
    """The words that the part below uses, each with what it means."""
    pairs = [tag("div", tag("dt", name), tag("dd", meaning)) for name, meaning in items.items()]
    return tag("dl", join(pairs), class_="terms")


def stacked(value: Text, note: Text) -> Html:
    """A cell of two lines: the value, below it in small what belongs to it."""
    return Html(safe(value) + tag("small", note)) if note else safe(value)


def folded(summary: str, *blocks: Html) -> Html:
    """Something for the reader who wants it: closed on screen until asked for, open in print."""
    return tag("details", tag("summary", summary), join(blocks))


def shortened(items: Sequence[Text], first: int = 4) -> Html:
    """A list of which the later items are folded away where there are many."""
    if len(items) <= first + 1:
        return bullets(items)
    return join([bullets(items[:first]), folded(f"{len(items) - first} more", bullets(items[first:]))])


def page(title: str, subtitle: Text, contents: Mapping[str, str], *blocks: Html) -> Html:
    """The whole document. `contents`: anchor -> words of the contents list."""
    css = resources.files("ambidex.report").joinpath("style.css").read_text()
    links = [tag("a", words, href=f"#{anchor}") for anchor, words in contents.items()]
    head = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>\n<style>\n{css}</style>\n</head>\n<body>",
    ]
    header = tag("header", tag("h1", title), paragraph(subtitle, "subtitle"))
    navigation = tag("nav", join(links, " "), aria_label="Contents")
    return Html("\n".join([*head, header, navigation, tag("main", join(blocks)), "</body>\n</html>\n"]))
