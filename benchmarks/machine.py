"""The machine that was measured on, and how busy it was."""

import os
import platform
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """CPU model, cores, load averages over 1, 5 and 15 minutes, versions."""
    import torch

    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "load": [round(value, 2) for value in os.getloadavg()],
        "torch_threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.system(),
    }


def described(before: dict[str, Any], after: dict[str, Any]) -> str:
    """One line about the machine, with its load before and after."""
    loads = " -> ".join("/".join(f"{value:.2f}" for value in state["load"]) for state in (before, after))
    return (
        f"{before['cpu']}, {before['cores']} cores, load {loads}, {before['torch_threads']} torch thread, "
        f"torch {before['torch']}, Python {before['python']}"
    )


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
