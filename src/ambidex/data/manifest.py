"""The words that prepare and extract share: the splits, the manifest's files, and one of its rows."""

from dataclasses import dataclass

SPLITS = ("train", "val", "test")
MANIFEST_FILE = "manifest.csv"
DATASET_FILE = "dataset.json"


@dataclass(frozen=True)
class Row:
    """One sample of a manifest. `split` and `group` may be empty: prepare then fills or refuses them."""

    sample_id: str
    label: str
    split: str
    group: str
    paths: dict[str, str]
    """modality -> path of its media (or a vector's address), relative to the data set's root"""
    origin: str = ""
    """file and line that the row was read from, for messages; empty where there is none"""

    @property
    def where(self) -> str:
        """The beginning of a message about this row."""
        return self.origin or f"sample '{self.sample_id}'"
