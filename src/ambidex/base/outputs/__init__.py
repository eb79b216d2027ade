"""Where stages write: what an output may replace, one writer at a time, and a new output in one rename.

An output NAME grows in `NAME.partial` (or in the folder `runtime.checkpoints`), which carries a mark. When it is
whole it changes places with what stood at NAME, in one rename where the system has one. Everything happens under a
lock, a file `.NAME.ambidex-lock` beside the output; the next run of the output mends what a kill left behind.
Unfinished work that another run cannot go on from moves to `NAME.aside.partial` until that run is whole.
"""

from ambidex.base.outputs.claim import check_places, claimed, probe, workplace
from ambidex.base.outputs.delivery import finish, whole_folder
from ambidex.base.outputs.guard import check_output
from ambidex.base.outputs.other_runs import Origin, Progress, aside, aside_hint, settle
from ambidex.base.outputs.storage import is_storage, storage_explained
from ambidex.base.outputs.unfinished import MARK, ORIGIN, discard, fresh, sweep

__all__ = [
    "MARK",
    "ORIGIN",
    "Origin",
    "Progress",
    "aside",
    "aside_hint",
    "check_output",
    "check_places",
    "claimed",
    "discard",
    "finish",
    "fresh",
    "is_storage",
    "probe",
    "settle",
    "storage_explained",
    "sweep",
    "whole_folder",
    "workplace",
]
