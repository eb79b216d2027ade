"""What every data set must satisfy: rows that prepare takes, the same from the same seed, and a source left alone."""

import json
from dataclasses import astuple
from pathlib import Path
from tempfile import TemporaryDirectory

from ambidex.base.errors import DataError
from ambidex.base.files import sha256
from ambidex.data.datasets import DATASETS, Dataset, Listing
from ambidex.data.datasets._checks import check_modalities, check_rows, clean_rows
from ambidex.data.datasets._paths import media_files
from ambidex.data.manifest import SPLITS
from ambidex.testing.expect import Options, expect

Given = str | type[Dataset]
"""a data set by its name or its class"""
RESERVED = ("manifest.csv", "dataset.json")


def check_dataset(
    dataset: Given, source: Path | None = None, options: Options | None = None, seed: int = 0
) -> list[str]:
    """Hold a data set, by name or class, to the contract, on the file or folder `source`.

    Returns the names of the checks that it passed. Raises CheckError (an AssertionError) with one line. Where the data
    set makes its samples up (`needs_source` False) give none.
    """
    cls = DATASETS.get(dataset) if isinstance(dataset, str) else dataset
    what = f"data set {DATASETS.name_of(cls)}"
    expect(
        cls.needs_source == (source is not None), what, f"needs_source {source is not None}", cls.needs_source
    )
    before = _content(source)
    with TemporaryDirectory() as one, TemporaryDirectory() as two:
        first = listed(cls, source, Path(one), options, seed, what)
        rows(first, Path(one), what)
        second = listed(cls, source, Path(two), options, seed, what)
        expect(_comparable(first) == _comparable(second), f"{what}, listed again", "the same rows", "others")
        expect(_content(Path(one)) == _content(Path(two)), f"{what}, made again", "the same files", "others")
    expect(_content(source) == before, what, "a source left as it is", "another")
    if source is not None:
        refused(cls, options, seed, what)
    return ["listed", "rows", "repeated", "source", *(["refused"] if source is not None else [])]


def listed(
    cls: type[Dataset], source: Path | None, output: Path, options: Options | None, seed: int, what: str
) -> Listing:
    """What it finds; a mistake in it is a CheckError."""
    try:
        return cls(cls.Config.model_validate(options or {})).list_samples(source, output, seed)
    except Exception as error:
        expect(False, what, "samples", f"{type(error).__name__}: {error}")
        raise


def rows(listing: Listing, output: Path, what: str) -> None:
    """Every row is one that prepare takes, of a file that is there; what is said beside can be written."""
    expect(bool(listing.rows), what, "samples", "none")
    try:
        samples, _ = clean_rows(listing.rows)
        check_modalities(listing.modalities)
        check_rows(samples, listing.classes)
        media_files(samples, listing.root or output, listing.texts)
    except DataError as error:
        expect(False, what, "rows that prepare takes", error)
    names = set(listing.modalities)
    expect(len(names) == len(listing.modalities), f"{what}, modalities", "each once", listing.modalities)
    for row in listing.rows:
        expect({*row.paths} <= names, f"{what}, {row.where}", f"some of {sorted(names)}", [*row.paths])
        expect(all(row.paths.values()), f"{what}, {row.where}", "a cell, or no modality", dict(row.paths))
        expect(row.split in ("", *SPLITS), f"{what}, {row.where}", f"one of {SPLITS} or none", row.split)
    if listing.original is not None:
        same = [row.sample_id for row in listing.original.rows] == [row.sample_id for row in listing.rows]
        expect(same, f"{what}, original", "the same samples", "others")
    try:
        json.dumps(listing.truth, allow_nan=False)
    except (TypeError, ValueError) as error:
        expect(False, f"{what}, truth", "what JSON can hold", error)
    lines = [listing.protocol, *listing.notes]
    expect(not any("\n" in line for line in lines), f"{what}, protocol and notes", "lines", lines)
    bad = [name for name in listing.extras if Path(name).name != name or name in RESERVED]
    expect(not bad, f"{what}, extras", f"plain names, none of {RESERVED}", bad)


def refused(cls: type[Dataset], options: Options | None, seed: int, what: str) -> None:
    """An empty folder in place of the source is a DataError of one line."""
    with TemporaryDirectory() as empty, TemporaryDirectory() as output:
        try:
            cls(cls.Config.model_validate(options or {})).list_samples(Path(empty), Path(output), seed)
        except DataError as error:
            expect("\n" not in str(error), f"{what}, an empty folder", "a DataError of one line", error)
            return
        except Exception as error:
            expect(False, f"{what}, an empty folder", "a DataError", f"{type(error).__name__}: {error}")
    expect(False, f"{what}, an empty folder", "a DataError", "samples, or none")


def _comparable(listing: Listing) -> tuple[object, ...]:
    """All of it but for where the files lie, and where a row was read."""
    rows = [astuple(row)[:-1] for row in listing.rows]
    return rows, listing.modalities, listing.classes, listing.protocol, listing.truth, listing.extras


def _content(place: Path | None) -> dict[str, str]:
    """Files by name, and their digests."""
    if place is None:
        return {}
    files = [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]
    return {str(path.relative_to(place)): sha256(path) for path in sorted(files)}
