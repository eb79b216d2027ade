"""One stage on as many devices of this machine as `runtime.devices` asks for."""

from typing import Any

from ambidex import stages
from ambidex.params import Params
from ambidex.stages import Paths


def run_stage(stage: str, params: Params, inputs: Paths, outputs: Paths) -> dict[str, Any]:
    """`stages.run`, and for training on several devices a process each. Returns the stage's metrics.

    Raises what the stage raises (AmbidexError subclasses with one line), whichever process it happened in.
    """
    return stages.run(stage, params, inputs, outputs)
