"""pretrain and train run without the code that judges and repairs: an edit there must not train anything again."""

import subprocess
import sys

import pytest

JUDGING = {
    "decide",
    "evaluation",
    "probes",
    "diagnose",
    "report",
    "imbalance",
    "memo",
    "predict",
    "few_groups",
}
"""what stands directly under ambidex and may not be imported by training"""
LISTED = """
import sys
import ambidex.stages.{stage}
from ambidex.net.encoders import ENCODERS
from ambidex.net.fusion import FUSIONS
from ambidex.learn.method import METHODS
for plugins in (ENCODERS, FUSIONS, METHODS):
    plugins.all()
print(*sorted(name for name in sys.modules if name.startswith("ambidex.")))
"""


@pytest.mark.parametrize("stage", ["pretrain", "train"])
def test_training_imports_nothing_that_judges_or_repairs(stage: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LISTED.format(stage=stage)], capture_output=True, text=True, check=True
    )
    modules = done.stdout.split()
    assert f"ambidex.stages.{stage}" in modules
    assert "ambidex.learn.methods.smv" in modules
    assert [name for name in modules if name.split(".")[1] in JUDGING] == []
