"""Whether torchrun started this process, and as which of several. Imports nothing, so that asking costs nothing."""

import os


def by_torchrun() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def processes() -> tuple[int, int]:
    """How many processes torchrun started, on this machine and in all; 1 and 1 where it did not start this one."""
    return (int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])) if by_torchrun() else (1, 1)


def unmet_nodes() -> str:
    """The variable that asks for several nodes where torchrun did not start this process, in words; "" where none does.

    A TrainJob leaves PET_NNODES for torchrun, other operators WORLD_SIZE. Each node would train the whole by itself.
    """
    if by_torchrun():
        return ""
    for name in ("PET_NNODES", "WORLD_SIZE"):
        value = os.environ.get(name, "")
        most = value.rpartition(":")[2]  # PET_NNODES may be a range, 1:4
        if most.isdecimal() and int(most) > 1:
            return f"{name} is {value}"
    return ""


def first_rank() -> bool:
    """Whether this process is the only one or the first of those that train together: the one that writes."""
    return not by_torchrun() or os.environ["RANK"] == "0"
