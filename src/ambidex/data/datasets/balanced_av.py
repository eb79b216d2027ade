"""Balanced Audiovisual Dataset (Xia et al. 2023): neither sound nor sight is the stronger side over the whole set.

Its list is a JSON file: `labels`, the class names in label order, and `database`, for each clip its `label` and its
`subset` (training, validation, testing). Clips vanish from the web, so a coverage report says which ones the folder
lacks. The frames (.hdf5) and spectrograms (.pkl) that some share are not read: a pickle can run code.
"""

from pathlib import Path
from typing import Any

from pydantic import Field

from ambidex.base.errors import DataError, one_line
from ambidex.base.readers import read_json
from ambidex.base.registry import nearest
from ambidex.data.datasets._clip_list import ClipList, ClipListConfig, ClipListDataset
from ambidex.data.datasets._kinetics import Entry, place_of
from ambidex.data.datasets._names import clean

LIST = "Imbalance_train_test_val.json"
_SUBSETS = {"training": "train", "validation": "val", "testing": "test"}


class BalancedAv(ClipListDataset):
    """Reads the JSON list and the folder `source` that holds the clips, in any depth."""

    class Config(ClipListConfig):
        """Which clips, which classes."""

        annotations: str | None = Field(
            None, description=f"the published list; missing: {LIST} in the source"
        )

    def read_list(self, source: Path) -> ClipList:
        """The entries of the list. Raises DataError naming file and clip of a mistake."""
        path = Path(self.config.annotations) if self.config.annotations else source / LIST
        labels, database = _parts(path, read_json(path))
        entries = [_entry(path, name, facts, labels) for name, facts in database.items()]
        return ClipList(path, entries, labels)


def _parts(path: Path, content: Any) -> tuple[list[str], dict[str, Any]]:
    """Class names in label order, and the clips with what the list says of each."""
    labels = content.get("labels") if isinstance(content, dict) else None
    database = content.get("database") if isinstance(content, dict) else None
    if not isinstance(labels, list) or not all(isinstance(name, str) for name in labels):
        raise DataError(f"{path}: key 'labels': expected a list of class names")
    if not isinstance(database, dict) or not database:
        raise DataError(f"{path}: key 'database': expected an object with a key for each clip")
    return list(map(clean, labels)), database


def _entry(path: Path, name: str, facts: Any, labels: list[str]) -> Entry:
    origin = f"{path}, clip '{one_line(name, 60)}'"
    label, subset = clean(_text(origin, facts, "label")), _text(origin, facts, "subset")
    if label not in labels:
        raise DataError(
            f"{origin}: label '{one_line(label, 60)}' is not in 'labels'; {nearest(label, labels)}"
        )
    if subset not in _SUBSETS:
        raise DataError(
            f"{origin}: subset '{one_line(subset, 60)}' does not exist; {nearest(subset, list(_SUBSETS))}"
        )
    video, start = place_of(name)
    return Entry(video, start, label, _SUBSETS[subset], origin)


def _text(origin: str, facts: Any, key: str) -> str:
    value = facts.get(key) if isinstance(facts, dict) else None
    if not isinstance(value, str):
        raise DataError(f"{origin}: key '{key}' is missing or no text")
    return value
