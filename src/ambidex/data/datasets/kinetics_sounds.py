"""Kinetics-Sounds (Arandjelovic and Zisserman 2017): the Kinetics classes that can be both seen and heard.

There is no fixed list: published ones have 31 to 34 classes, and clips vanish from the web. So the class list is a
parameter, a coverage report says which listed clips the folder lacks, and no class disappears silently.
"""

from pathlib import Path

from pydantic import Field

from ambidex.data.datasets._clip_list import ClipList, ClipListConfig, ClipListDataset
from ambidex.data.datasets._kinetics import read_entries
from ambidex.data.datasets._table import read_table


class KineticsSounds(ClipListDataset):
    """Reads a list of clips and the folder `source` that holds them, in any depth."""

    class Config(ClipListConfig):
        """Which clips, which classes."""

        annotations: str = Field(
            description="Kinetics CSV (label, youtube_id, time_start, time_end, split) or id list (clip, label, "
            "field_split); .csv.gz too"
        )

    def read_list(self, source: Path) -> ClipList:
        """The entries of `annotations`."""
        path = Path(self.config.annotations)
        return ClipList(path, read_entries(read_table(path)))
