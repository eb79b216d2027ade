"""VGGSound (Chen et al. 2020): clips of ten seconds from the web in which the source of the sound can be seen.

The published list, vggsound.csv, has no header: youtube id, start second, label, split; 309 classes. Clips vanish
from the web, so a coverage report says which listed ones the folder lacks.
"""

from pathlib import Path

from pydantic import Field

from ambidex.base.errors import DataError
from ambidex.base.registry import nearest
from ambidex.data.datasets._clip_list import ClipList, ClipListConfig, ClipListDataset
from ambidex.data.datasets._kinetics import read_entries
from ambidex.data.datasets._table import Table, read_table

LIST = "vggsound.csv"
COLUMNS = ("youtube_id", "time_start", "label", "split")
_SPLITS = ("train", "test")


class VggSound(ClipListDataset):
    """Reads vggsound.csv and the folder `source` that holds the clips, in any depth."""

    class Config(ClipListConfig):
        """Which clips, which classes."""

        annotations: str | None = Field(
            None, description="the published list (.csv or .csv.gz); missing: vggsound.csv in the source"
        )

    published_classes = 309

    def read_list(self, source: Path) -> ClipList:
        """The entries of the list. Raises DataError for a line without its four cells, or with another split."""
        path = Path(self.config.annotations) if self.config.annotations else source / LIST
        table = read_table(path, COLUMNS)
        _check_splits(table)
        return ClipList(path, read_entries(table))


def _check_splits(table: Table) -> None:
    for line in table.lines:
        if line.get("split") not in _SPLITS:
            hint = nearest(line.cells["split"], list(_SPLITS))
            raise DataError(f"{line.origin}: split '{line.cells['split']}' does not exist; {hint}")
