"""Your own data: any CSV with the columns sample_id, label, split, group and a path per modality.

`split` and `group` may be missing; prepare then splits by whole groups. Paths are relative to the CSV's folder.
"""

from dataclasses import replace
from pathlib import Path

from pydantic import Field

from ambidex.base.errors import DataError
from ambidex.base.registry import nearest
from ambidex.configuration.params import Section
from ambidex.configuration.values import ModalityName
from ambidex.data.datasets import Dataset, Listing
from ambidex.data.datasets._manifest_csv import read_listing


class Manifest(Dataset):
    """Reads a CSV (`source`: the file, or a folder with a manifest.csv)."""

    class Config(Section):
        """What the CSV does not say."""

        modalities: list[ModalityName] | None = Field(
            None, min_length=1, description="columns to use; missing: all but the four named ones"
        )
        classes: list[str] | None = Field(
            None, min_length=2, description="class names in label order; missing: the sorted labels"
        )
        texts: list[ModalityName] = Field(
            [],
            description="columns whose cells are texts: the text itself, `file.txt` or `file.csv#column[row]`",
        )

    def list_samples(self, source: Path | None, output: Path, seed: int) -> Listing:
        """The rows of the CSV. Raises DataError naming file, line and column of a mistake."""
        assert source is not None
        listing = read_listing(source, self.config.modalities, self.config.classes)
        if others := sorted({*self.config.texts} - {*listing.modalities}):
            raise DataError(
                f"prepare.options.texts: '{others[0]}' is no modality; {nearest(others[0], [*listing.modalities])}"
            )
        return replace(listing, texts=tuple(self.config.texts))
