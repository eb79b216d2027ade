"""Data sets: one file each, writes a manifest from what is on disk. Files here are plug-ins."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from ambidex.base.registry import Plugins
from ambidex.configuration.params import Section
from ambidex.data.manifest import Row


@dataclass(frozen=True)
class Listing:
    """What a data set plug-in found or made."""

    rows: Sequence[Row]
    modalities: tuple[str, ...]
    root: Path | None = None
    """folder that paths are relative to; None: the output folder itself (the plug-in wrote the media there)"""
    classes: tuple[str, ...] | None = None
    """class names in label order; None: the labels of the rows, sorted by number where all are numbers, else by name"""
    protocol: str = ""
    """the split in a few words, printed in every table (for example 'field split: actors on both sides')"""
    leaky: bool = False
    """True where the protocol is known to let groups stand on both sides, and the user asked for it"""
    truth: dict[str, Any] = field(default_factory=dict)
    """known ground truth of a made-up data set (class -> informativeness per modality)"""
    notes: list[str] = field(default_factory=list)
    texts: tuple[str, ...] = ()
    """modalities whose cells are texts: the text itself, a `.txt` file or a row of a column. Two short texts may be
    equal by chance, so that an equal text alone makes no copy: only samples that are equal as a whole share content"""
    original: "Listing | None" = None
    """the same samples before a plug-in changed their media (noise ...): what shares content is told by these"""
    extras: dict[str, str] = field(default_factory=dict)
    """further text files to write beside the manifest: name -> content (a coverage report ...)"""


class Dataset(ABC):
    """Base of all data sets: reads `source`, may write media under `output`, returns a Listing."""

    class Config(Section):
        """The data set's own parameters (`prepare.options`)."""

    needs_source: ClassVar[bool] = True
    """False where the samples are made up; a source of the user's is then refused, so that none is ignored"""

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def list_samples(self, source: Path | None, output: Path, seed: int) -> Listing:
        """Find (or make) the samples. Raises DataError naming file, row and column of a mistake."""


DATASETS: Plugins[Dataset] = Plugins("data set", "ambidex.data.datasets", "ambidex.data.datasets.Dataset")
