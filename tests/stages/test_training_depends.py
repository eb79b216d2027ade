"""pretrain and train run without the code that judges and repairs: an edit there must not train anything again."""

import subprocess
import sys

JUDGING = {"decide", "judge", "predict", "report"}
"""the rooms that training may not import"""
LISTED = """
import sys
import ambidex.stages.pretrain
import ambidex.stages.train
from ambidex.net.encoders import ENCODERS
from ambidex.net.fusion import FUSIONS
from ambidex.learn.method import METHODS
for plugins in (ENCODERS, FUSIONS, METHODS):
    plugins.all()
print(*sorted(name for name in sys.modules if name.startswith("ambidex.")))
"""


def test_training_imports_nothing_that_judges_or_repairs() -> None:
    done = subprocess.run([sys.executable, "-c", LISTED], capture_output=True, text=True, check=True)
    modules = done.stdout.split()
    assert {"ambidex.stages.pretrain", "ambidex.stages.train"} <= set(modules)
    assert "ambidex.learn.methods.smv" in modules
    assert [name for name in modules if name.split(".")[1] in JUDGING] == []
