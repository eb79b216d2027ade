"""A net that is built for its shapes alone."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from ambidex.net.encoders._images import initialise
from ambidex.net.shapes import shapes_only


def built():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(5, 6))
    initialise(module)
    return module.state_dict()


def test_shapes_are_those_of_the_net_and_no_number_is_drawn():
    state = torch.random.get_rng_state()
    with shapes_only():
        shapes = built()
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(tensor.is_meta for tensor in shapes.values())
    whole = built()
    assert {name: tensor.shape for name, tensor in shapes.items()} == {
        name: t.shape for name, t in whole.items()
    }
    assert float(whole["1.weight"].std()) > 0.1  # outside, numbers are drawn as ever


CODE = """
import sys, torch
from torch import nn
from ambidex.configuration.params import Runtime
from ambidex.learn.runtime import prepare_torch
from ambidex.net.encoders._images import initialise
from ambidex.net.shapes import shapes_only
prepare_torch(Runtime(accelerator="cpu"))
assert torch.are_deterministic_algorithms_enabled() and torch.is_deterministic_algorithms_warn_only_enabled()
with shapes_only():
    initialise(nn.Linear(3, 4))
print([name for name in sys.modules if name in ("torch._dynamo", "torch._inductor")])
"""


@pytest.mark.slow
def test_neither_shapes_nor_determinism_imports_the_compiler():
    done = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
