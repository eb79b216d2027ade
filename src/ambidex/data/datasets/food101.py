"""UPMC Food-101 (Wang et al. 2015): 101 dishes, a picture from the web and the title of its page.

Reads images/train/CLASS/*.jpg, images/test/CLASS/*.jpg, texts/train_titles.csv and texts/test_titles.csv. The lists
have no header and three columns: picture, title, class; one with a header that names them is read too.

Split `field` is that of the two lists. Where one title stands in both, as of a page with several pictures, the split is
marked as leaky. Split `title` makes the splits anew and keeps samples of one title together.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from ambidex.base.errors import DataError
from ambidex.base.readers import Source, read_text
from ambidex.base.registry import nearest
from ambidex.configuration.params import Section
from ambidex.data.datasets import Dataset, Listing
from ambidex.data.datasets._coverage import FOUND, coverage_extra, coverage_notes, matched
from ambidex.data.datasets._table import Line, Table, read_table
from ambidex.data.manifest import Row
from ambidex.data.media.texts import parse_text

CLASSES = 101
_LISTS = ("train", "test")
_COLUMNS = ("image", "text", "label")
_IMAGE = ("image", "Image_path", "image_path", "image_name", "img")
_ENDINGS = (".jpg", ".jpeg", ".png")


class Food101(Dataset):
    """Reads the folders `images` and `texts` under `source`."""

    class Config(Section):
        """The protocol."""

        split: Literal["field", "title"] = Field(
            "field",
            description="field: as the two lists say; title: made anew, samples of one title stay together",
        )

    def list_samples(self, source: Path | None, output: Path, seed: int) -> Listing:
        """The listed pictures that are there. Raises DataError naming file and line of a mistake."""
        assert source is not None
        tables = {name: _read(source / "texts" / f"{name}_titles.csv") for name in _LISTS}
        classes = _classes(source / "images", tables)
        rows, coverage = [], []
        for split, table in tables.items():
            column = table.first_of(_IMAGE)
            if column is None:
                table.require(["image"])
            assert column is not None
            for line in table.lines:
                row = self._row(line, split, column, classes)
                there = (source / row.paths["image"]).is_file()
                coverage.append((row.sample_id, row.label, FOUND if there else "no picture"))
                rows += [row] if there else []
        if not rows:
            raise DataError(f"{source}: {matched(coverage, 0, [])}; expected images/train/CLASS/NAME.jpg")
        notes = coverage_notes(coverage, "pictures")
        if len(classes) != CLASSES:
            notes.append(f"{len(classes)} classes, the published set has {CLASSES}")
        shared = _on_both_sides(rows) if self.config.split == "field" else 0
        return Listing(
            rows=rows,
            modalities=("image", "text"),
            root=source,
            classes=tuple(classes),
            protocol=_protocol(self.config.split, shared),
            leaky=shared > 0,
            texts=("text",),
            notes=notes,
            extras=coverage_extra(coverage),
        )

    def _row(self, line: Line, split: str, column: str, classes: Sequence[str]) -> Row:
        label, name = line.get("label"), line.get(column)
        if label not in classes:
            raise DataError(
                f"{line.origin}: class '{label}' has no folder in images/train; {nearest(label, list(classes))}"
            )
        title = _title(line.cells["text"])
        by_field = self.config.split == "field"
        return Row(
            sample_id=f"{split}/{Path(name).stem}",
            label=label,
            split=split if by_field else "",
            group=_key(title) or name,
            paths={"image": f"images/{split}/{label}/{name}", **({"text": title} if title else {})},
            origin=line.origin,
        )


def _read(path: Path) -> Table:
    """A list with or without a header."""
    table = read_table(path, _COLUMNS) if not _has_header(path) else read_table(path)
    table.require(["label", "text"])
    return table


def _has_header(path: Path) -> bool:
    """Whether the first line names columns: it names no picture."""
    first = next(csv.reader(read_text(path, Source(str(path))).splitlines()[:1]), [])
    return bool(first) and not any(cell.strip().lower().endswith(_ENDINGS) for cell in first)


def _classes(images: Path, tables: dict[str, Table]) -> list[str]:
    """The class folders of the training pictures."""
    folder = images / "train"
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []
    if len(names) < 2:
        raise DataError(f"{folder}: {len(names)} class folders found, expected one for each dish")
    return names


def _title(text: str) -> str:
    """A title in one line, never of a form that names a file."""
    title = " ".join(text.split())
    return f"{title} ." if parse_text(title) else title


def _key(title: str) -> str:
    return title.casefold()


def _on_both_sides(rows: Sequence[Row]) -> int:
    """Titles that stand in both splits."""
    titles = {split: {row.group for row in rows if row.split == split} for split in _LISTS}
    return len(titles["train"] & titles["test"])


def _protocol(split: str, shared: int) -> str:
    if split == "title":
        return "titles disjoint"
    return f"field split, titles on both sides: {shared}" if shared else "field split, titles disjoint"
