"""TensorBoard events beside the model: losses, gradient norms and what a method logs, and the values of each epoch."""

from collections.abc import Mapping
from typing import Any

from ambidex.learn.log import Logger, Training
from ambidex.learn.log._event_thread import check_event_thread, watch_event_thread

TENSORBOARD_FOLDER = "tensorboard"


class TensorBoard(Logger):
    """A folder that `tensorboard --logdir` reads."""

    def __init__(self, config: Any, training: Training) -> None:
        from torch.utils.tensorboard import SummaryWriter

        super().__init__(config, training)
        watch_event_thread()
        place = str(training.folder / TENSORBOARD_FOLDER)
        self.writer: Any = SummaryWriter(place, purge_step=training.steps or None)  # type: ignore[no-untyped-call]

    def points(self, values: Mapping[str, float], step: int) -> None:
        """A scalar each."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def flush(self) -> None:
        """A process that is killed loses nothing before its checkpoint."""
        self.writer.flush()

    def close(self, complete: bool) -> None:
        """Flush and close the event file. Raises OSError where it could not be written."""
        self.writer.close()
        check_event_thread()
