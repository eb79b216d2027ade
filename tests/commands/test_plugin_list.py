"""The lists of plug-ins: what is read from files is what their classes say, and costs no import of theirs."""

import subprocess
import sys

import pytest

from ambidex.base import entry_points
from ambidex.commands.plugin_explained import explanation
from ambidex.commands.plugin_list import from_source, listing
from ambidex.commands.plugins import _REGISTRIES, registry
from ambidex.commands.plugins import listing as shown
from ambidex.data.kinds import KINDS
from helpers.outside import installed, write_distribution
from helpers.words import REGISTRIES

GOOD = '''
"""A method from elsewhere.

More."""
from ambidex.learn.method import Method, Needs

class Good(Method):
    needs = Needs(min_modalities=3, missing=True)
'''
HEAVY = """
import sys
from ambidex.cli import main
for kind in sys.argv[1:]:
    assert main([kind]) == 0
print(sorted({"torch", "numpy", "pydantic"} & set(sys.modules)))
"""


@pytest.mark.skipif(entry_points.any_outside(), reason="plug-ins of other distributions are installed")
@pytest.mark.parametrize("kind", REGISTRIES)
def test_files_say_what_classes_say(kind):
    assert from_source(_REGISTRIES[kind], kind) == listing(registry(kind), kind)


def test_a_kind_names_its_degradations():
    text = explanation(KINDS, "log_stft")
    assert "Degradations (`extract.degrade.steps`): absent, band_mask, sound_noise, sound_shift" in text


@pytest.mark.skipif(entry_points.any_outside(), reason="plug-ins of other distributions are installed")
def test_a_list_imports_nothing_heavy():
    command = [sys.executable, "-c", HEAVY, *REGISTRIES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_plug_ins_of_other_distributions_are_listed_with_them(tmp_path):
    write_distribution(tmp_path, "ambidex-good", {"ambidex.methods": {"fine": "listed:Good"}}, listed=GOOD)
    with installed(tmp_path):
        lines = {line.split()[0]: line for line in shown("methods").splitlines() if line}
    assert "at least 3 modalities" in lines["fine"]
    assert lines["fine"].endswith("A method from elsewhere. [ambidex-good 1.0]")
    assert set(registry("methods").own()) < set(lines)
