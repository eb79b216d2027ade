"""One stage on as many devices of this machine as `runtime.devices` asks for: torchrun, started from here.

Training on several devices is a process (rank) each, which torch's own launcher starts, watches and ends together.
This process waits, hands SIGTERM on, and raises the error that stopped a rank as if it had happened here.
"""

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ambidex import stages
from ambidex.base import errors
from ambidex.base.errors import LostRankError, ParamsError, PreemptedError
from ambidex.base.files import write_json
from ambidex.base.outputs import probe
from ambidex.base.readers import read_json
from ambidex.base.torchrun import by_torchrun, processes, unmet_nodes
from ambidex.configuration.params import Params
from ambidex.launch import rank
from ambidex.launch.meeting import meet
from ambidex.resolve.cell import Work, given_by
from ambidex.stages import Paths
from ambidex.stages.table import TABLE

TRAINS = tuple(name for name, stage in TABLE.items() if stage.distributed)
"""the stages that several devices work on together"""
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


def run_stage(stage: str, work: Work, inputs: Paths, outputs: Paths) -> dict[str, Any]:
    """`stages.run`, in a process per device where the stage trains and `runtime.devices` is more than one.

    Returns the stage's metrics. Where torchrun started this process already, it is one of the ranks, and those of
    several nodes first make sure that they read and write the same. Raises what the stage raises (AmbidexError
    subclasses with one line, PreemptedError after SIGTERM), whichever rank it happened in; LostRankError where a
    rank died without a word.
    """
    if processes() != (1, 1) and stage not in TRAINS:
        raise ParamsError(f"{stage} is the work of one process; start it without torchrun")
    if stage in TRAINS and (setting := unmet_nodes()):
        raise ParamsError(
            f"{setting}, so this process is one of several nodes, and it would train everything by itself; start it "
            f"on each of them with `torchrun -m ambidex.cli {stage} ...`, or unset the variable"
        )
    params = given_by(work)
    if by_torchrun() and stage in TRAINS:
        meet(params, inputs, next(iter(outputs.values())))
        return stages.run(stage, work, inputs, outputs)
    if params.runtime.devices == 1 or stage not in TRAINS:
        return stages.run(stage, work, inputs, outputs)
    from ambidex.learn.runtime import check_devices

    check_devices(params.runtime)
    probe(stage, inputs, outputs)  # the first rank holds the lock: it may outlive this process
    with tempfile.TemporaryDirectory(prefix="ambidex-") as place:
        folder = Path(place)
        job = {"stage": stage, "params": params.model_dump(mode="json")}
        job |= {"inputs": _absolute(inputs), "outputs": _absolute(outputs)}
        write_json(folder / rank.JOB, job)
        _torchrun(params, folder)
        metrics: dict[str, Any] = read_json(folder / rank.METRICS)
        return metrics


def _absolute(paths: Paths) -> dict[str, str]:
    return {name: str(path.absolute()) for name, path in paths.items()}


def _torchrun(params: Params, folder: Path) -> None:
    """Run the ranks to their end. Raises the error that a rank left in `folder`, or says how a rank ended."""
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    count = params.runtime.devices
    arguments = ["--standalone", f"--nproc-per-node={count}", "--local-addr=127.0.0.1"]
    arguments += ["-m", "ambidex.launch.rank", str(folder)]
    try:
        with _environment(params), _own_signals(), _quiet():
            torchrun.run(torchrun.parse_args(arguments))  # type: ignore[no-untyped-call]
    except SignalException as stopped:
        _raise_reported(folder)
        if stopped.sigval == signal.SIGINT:
            raise KeyboardInterrupt from None
        raise PreemptedError(
            f"stopped by {signal.Signals(stopped.sigval).name}; a rerun resumes from the last checkpoint"
        ) from None
    except ChildFailedError as failed:
        _raise_reported(folder)
        number, failure = failed.get_first_failure()
        how = f"exit code {failure.exitcode}" if failure.exitcode > 0 else failure.signal_name()
        raise LostRankError(
            f"process {number} of {count} ended with {how}, and the others were stopped; what it said stands above; "
            "SIGKILL often means out of memory"
        ) from None


def _raise_reported(folder: Path) -> None:
    """Raise the error of the first rank that left one."""
    for report in sorted(folder.glob(rank.ERRORS), key=lambda path: path.stat().st_mtime_ns):
        failure = read_json(report)
        raise getattr(errors, failure["kind"])(failure["message"]) from None


@contextmanager
def _environment(params: Params) -> Iterator[None]:
    """What the ranks find in their environment: a fair share of the cores, and loopback between them.

    PET_* variables, which a TrainJob sets, are torchrun's options (PET_NNODES: --nnodes); here this process gives them.
    """
    count = params.runtime.devices
    threads = params.runtime.threads or max(1, (os.cpu_count() or 1) // count)
    variables = {"OMP_NUM_THREADS": str(threads)}
    if sys.platform == "linux":
        variables["GLOO_SOCKET_IFNAME"] = "lo"
    before = dict(os.environ)
    for name, value in variables.items():
        os.environ.setdefault(name, value)
    for name in [name for name in os.environ if name.startswith("PET_")]:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _own_signals() -> Iterator[None]:
    """The launcher takes signals over and keeps them; give them back."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        if (
            signal.getsignal(signal.SIGTERM) is not before[signal.SIGTERM]
        ):  # not in another thread than the main one
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _quiet() -> Iterator[None]:
    """The launcher logs a report of its own when a rank fails; the rank's one line says it better."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("torch.distributed")]
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
