"""How long one file may take and how much memory it may need: kept by the kernel, for a process that reads files."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

MEBIBYTE = 2**20
_NEVER = 0.0


@dataclass(frozen=True)
class Limits:
    """What one sample may cost."""

    seconds: float = 120.0
    """from the first byte read to the finished tensors"""
    megabytes: int = 4096
    """MiB of memory beyond what the process held before; also the largest file that is read"""

    @property
    def bytes(self) -> int:
        """The memory in bytes."""
        return self.megabytes * MEBIBYTE

    def start(self) -> None:
        """Hold this process to the limits from now on.

        Too much memory is refused to it (MemoryError, or the end of a library that does not check). After too long
        it ends by SIGALRM, also where it hangs inside a library.
        """
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, self.seconds)
        _bound_memory(self.bytes)

    def stop(self) -> None:
        """Stop the clock. The memory stays bounded."""
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, _NEVER)


DEFAULT = Limits()
"""what extract allows where nobody says otherwise"""


def _bound_memory(more: int) -> None:
    """Let this process take `more` bytes than it has. Private memory counts; the code of libraries does not."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[5])
    except (OSError, ValueError, IndexError):  # no Linux: RLIMIT_DATA does not bound what libraries map there
        return
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    soft = pages * os.sysconf("SC_PAGE_SIZE") + more
    resource.setrlimit(
        resource.RLIMIT_DATA, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard)
    )


def no_core_files() -> None:
    """A process that a file kills leaves no core file behind."""
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
