"""history.csv beside the model: a row per epoch. The report draws its training curves from it."""

from collections.abc import Mapping, Sequence
from typing import Any

from ambidex.base.files import write_csv
from ambidex.learn.log import Logger

HISTORY_FILE = "history.csv"


class History(Logger):
    """The values of all epochs, written anew after each."""

    recovers = True

    def epoch(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Replace the file."""
        columns = list(dict.fromkeys(name for row in history for name in row))
        write_csv(self.training.folder / HISTORY_FILE, history, columns)
