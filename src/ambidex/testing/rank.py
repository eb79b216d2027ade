"""One of the processes that train together: `python -m ambidex.testing.rank FOLDER` trains the jobs in jobs.json."""

import json
import os
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from ambidex.learn.loop import buckets
from ambidex.testing.ranks import train

_SMALL = 1024
"""bytes: the models of the checks are small, and their gradients are to leave in several buckets"""


def main(folder: Path) -> None:
    """Leave the weights of job N of rank R in the file N-R."""
    torch.set_num_threads(1)
    buckets.SIZE = _SMALL
    for number, job in enumerate(json.loads((folder / "jobs.json").read_text())):
        save_file(train(folder / f"job-{number}", job), folder / f"{number}-{os.environ['RANK']}")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
