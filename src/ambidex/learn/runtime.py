"""Where training runs: device, precision and ranks, through Lightning Fabric (imported only when needed)."""

import logging
import os
from typing import Any

import torch

from ambidex.base.errors import ParamsError
from ambidex.base.torchrun import by_torchrun, processes
from ambidex.configuration.params import Runtime


def device(runtime: Runtime) -> torch.device:
    """The device for evaluation. Raises ParamsError where the asked-for accelerator is not there."""
    accelerator = runtime.accelerator
    if accelerator == "auto":
        accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    if accelerator == "cuda" and not torch.cuda.is_available():
        raise ParamsError("runtime.accelerator: got 'cuda', but torch sees no CUDA device; use auto or cpu")
    if accelerator == "mps" and not torch.backends.mps.is_available():
        raise ParamsError("runtime.accelerator: got 'mps', but torch sees no such device; use auto or cpu")
    return torch.device(accelerator)


_PROCESSES_PER_CORE = 8


def check_devices(runtime: Runtime) -> None:
    """Raise ParamsError where there are fewer devices than `runtime.devices`. A core serves up to 8 processes."""
    kind = device(runtime).type
    if kind == "cpu":
        if runtime.devices > (most := _PROCESSES_PER_CORE * (os.cpu_count() or 1)):
            raise ParamsError(
                f"runtime.devices: got {runtime.devices}, expected at most {most} on this machine's {os.cpu_count()} "
                "core(s): more processes would only wait for each other"
            )
        return
    there = torch.cuda.device_count() if kind == "cuda" else 1
    if runtime.devices > there:
        raise ParamsError(
            f"runtime.devices: got {runtime.devices}, but torch sees {there} device(s) of kind {kind}"
        )


def make_fabric(runtime: Runtime, precision: str) -> Any:
    """A launched Fabric on the device of `runtime`; `precision` is `32`, or `bf16` or `16` (autocast).

    Raises ParamsError where `runtime.devices` is not the number of processes that torchrun started on this machine.
    """
    import lightning_fabric
    from lightning_fabric.plugins import MixedPrecision, Precision

    kind = device(runtime).type
    started, in_all = processes()
    if runtime.devices != started:
        raise ParamsError(
            f"runtime.devices: got {runtime.devices}, but {started} process(es) were started for this stage on this "
            "machine; start it with `ambidex` or ambidex.launch.distributed.run_stage, or with torchrun "
            f"--nproc-per-node {runtime.devices}"
        )
    prepare_torch(runtime)
    logging.getLogger(lightning_fabric.__name__).setLevel(logging.WARNING)  # no banner of its own
    fabric = lightning_fabric.Fabric(
        accelerator=kind,
        devices=runtime.devices,
        num_nodes=in_all // started,
        strategy="ddp" if by_torchrun() else "auto",
        plugins=Precision() if precision == "32" else MixedPrecision(f"{precision}-mixed", kind),
    )
    fabric.launch()
    return fabric


def prepare_torch(runtime: Runtime) -> None:
    """Set threads and deterministic kernels."""
    if runtime.threads:
        torch.set_num_threads(runtime.threads)
    if runtime.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic with it only
        # `use_deterministic_algorithms` does the same, after importing all of torch's compiler for a second or two
        torch.set_deterministic_debug_mode("warn")
        # filling every new tensor with NaN costs 2 % of a step, and nothing here reads memory it did not write
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = False
