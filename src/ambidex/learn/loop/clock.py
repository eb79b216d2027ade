"""How long the optimiser steps took, over all parts of a run that was stopped and resumed; when a checkpoint is due."""

import time


class Clock:
    """Seconds of wall time between `start` and `stop`, summed."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.since: float | None = None

    def start(self) -> None:
        """From now on time counts."""
        self.since = time.monotonic()

    def stop(self) -> None:
        """It no longer does."""
        self.seconds, self.since = self.read(), None

    def read(self) -> float:
        """Seconds so far, those of the running part included."""
        return self.seconds + (0.0 if self.since is None else time.monotonic() - self.since)


class Timer:
    """Says when `minutes` of wall time have passed since it was last set; with 0 minutes never."""

    def __init__(self, minutes: float) -> None:
        self.seconds = 60 * minutes
        self.set()

    def set(self) -> None:
        """Begin anew."""
        self.since = time.monotonic()

    def due(self) -> bool:
        """Whether the time has passed."""
        return self.seconds > 0 and time.monotonic() - self.since >= self.seconds
