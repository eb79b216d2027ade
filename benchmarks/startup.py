"""`ambidex --help` and `ambidex methods` over `import torch`: whole processes, from the start of Python to its end."""

import subprocess
import sys

from benchmarks.rows import Row, row
from benchmarks.scale import Scale, sized
from benchmarks.timing import in_turns

LIMIT = 0.25
LISTING = 0.1
REPETITIONS = {"full": 9, "quick": 3, "tiny": 1}
HELP = "import sys; from ambidex.cli import main; sys.exit(main(['--help']))"
LIST = HELP.replace("--help", "methods")
"""what the installed command runs"""


def measure(scale: Scale) -> list[Row]:
    """Two ratios and the times behind them."""
    scripts = {"help": HELP, "list": LIST, "torch": "import torch", "python": "pass"}
    taken = in_turns(
        {name: lambda code=code: _run(code) for name, code in scripts.items()},  # type: ignore[misc]
        sized(REPETITIONS, scale),
    )
    rows = [
        row("ambidex --help / import torch", taken["help"] / taken["torch"], limit=LIMIT),
        row("ambidex methods / import torch", taken["list"] / taken["torch"], limit=LISTING),
    ]
    titles = {
        "help": "ambidex --help",
        "list": "ambidex methods",
        "torch": "import torch",
        "python": "Python alone",
    }
    return rows + [row(titles[name], 1000 * values, unit="ms") for name, values in taken.items()]


def _run(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
