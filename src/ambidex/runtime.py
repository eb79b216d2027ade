"""Where training runs: device, precision and ranks, through Lightning Fabric (imported only when needed)."""

import os
from typing import Any

import torch

from ambidex.errors import ParamsError
from ambidex.params import Runtime


def device(runtime: Runtime) -> torch.device:
    """The device for evaluation. Raises ParamsError where the asked-for accelerator is not there."""
    wanted = runtime.accelerator
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ParamsError("runtime.accelerator: got 'cuda', but torch sees no CUDA device; use auto or cpu")
    if wanted == "mps" and not torch.backends.mps.is_available():
        raise ParamsError("runtime.accelerator: got 'mps', but torch sees no such device; use auto or cpu")
    return torch.device(wanted)


def make_fabric(runtime: Runtime, precision: str) -> Any:
    """A launched Fabric on the device of `runtime`; `precision` is `32` or `bf16` (autocast)."""
    from lightning_fabric import Fabric

    kind = device(runtime).type
    prepare_torch(runtime)
    fabric = Fabric(
        accelerator=kind,
        devices=runtime.devices,
        strategy="ddp" if runtime.devices > 1 else "auto",
        precision="bf16-mixed" if precision == "bf16" else "32-true",
    )
    fabric.launch()
    return fabric


def prepare_torch(runtime: Runtime) -> None:
    """Set threads and deterministic kernels."""
    if runtime.threads:
        torch.set_num_threads(runtime.threads)
    if runtime.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic with it only
        torch.use_deterministic_algorithms(True, warn_only=True)
        # filling every new tensor with NaN costs 2 % of a step, and nothing here reads memory it did not write
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = False
