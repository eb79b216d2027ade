"""One of several processes that train together: `python -m ambidex.launch.rank FOLDER`, started by `distributed`.

FOLDER holds the job. The first rank leaves the stage's metrics there; a rank that fails leaves its error.
"""

import os
import sys
import threading
import time
from pathlib import Path

from ambidex import stages
from ambidex.base import errors
from ambidex.base.files import write_json
from ambidex.base.readers import read_json
from ambidex.base.torchrun import first_rank
from ambidex.configuration.params import Params

JOB = "job.json"
METRICS = "metrics.json"
ERRORS = "error-*.json"
_SECONDS = 2.0  # that a rank without an error of its own waits for another's


def main(folder: Path) -> int:
    """Run the stage of the job in this rank. Returns the exit code."""
    _leave_with_parent()
    job = read_json(folder / JOB)
    params = Params.model_validate(job["params"])
    inputs, outputs = ({k: Path(v) for k, v in job[kind].items()} for kind in ("inputs", "outputs"))
    try:
        metrics = stages.run(job["stage"], params, inputs, outputs)
    except errors.AmbidexError as error:
        report = {"kind": type(error).__name__, "message": str(error)}
        write_json(folder / ERRORS.replace("*", os.environ["RANK"]), report)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except Exception:
        if _another_failed(folder):  # the exchange with it broke off: nothing that a person needs to know
            return 1
        raise
    if first_rank():
        write_json(folder / METRICS, metrics)
    _say_goodbye()
    return 0


def _another_failed(folder: Path) -> bool:
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        if any(folder.glob(ERRORS)):
            return True
        time.sleep(0.05)
    return False


def _leave_with_parent() -> None:
    """End this process when the launcher is gone (even by kill -9), so that no rerun meets it."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _say_goodbye() -> None:
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
