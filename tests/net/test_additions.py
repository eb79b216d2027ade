"""Additions: all that is built in beside encoders and fusion, the file of a model that has one, and a new one."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ambidex.base.errors import AmbidexError, ModelError
from ambidex.configuration.values import Choice
from ambidex.net.additions import ADDITIONS
from ambidex.net.additions.category_weights import CategoryWeights
from ambidex.net.additions.own_heads import OwnHeads
from ambidex.net.model import MODEL_FILE, WEIGHTS_FILE, Architecture, MultimodalNet, load_model, save_model
from helpers.memory_store import PLAIN_ENCODERS, MemoryStore, architecture
from helpers.outside import installed, write_distribution

TWO = ("audio", "visual")
EARLIER = {  # what model.json said before it named additions
    "own_heads": {"heads": True, "category_weights": False, "exchange": None},
    "category_weights": {"heads": False, "category_weights": True, "exchange": None},
    "mmtm": {"heads": False, "category_weights": False, "exchange": {"name": "mmtm", "ratio": 4}},
}
TENSORS = {  # and what its tensors were called
    "own_heads": {f"heads.{m}.{part}" for m in TWO for part in ("weight", "bias")},
    "category_weights": {"category_weights"},
    "mmtm": {"exchange.steps"}
    | {f"exchange.stages.{n}.means" for n in range(3)}
    | {f"exchange.stages.{n}.squeeze.{part}" for n in range(3) for part in ("weight", "bias")}
    | {f"exchange.stages.{n}.gates.{m}.{part}" for n in range(3) for m in TWO for part in ("weight", "bias")},
}
LION = """
from torch import nn
from ambidex.net.additions import Addition
from ambidex.net.encoded import each

class Lion(Addition):
    '''Features through a projection that is zero at the start, added; and half of every contribution.'''

    def __init__(self, config, encoders, classes):
        super().__init__(config, encoders, classes)
        self.project = nn.ModuleDict({m: nn.Linear(e.dim, e.dim, bias=False) for m, e in encoders.items()})

    def encode(self, net, encode, inputs, present):
        return {m: h + self.project[m](h) for m, h in encode(inputs, present).items()}

    def contributions(self, contributions, features):
        return {m: z / 2 for m, z in contributions.items()}

    def blocks(self, blocks):
        return None

class Tiger(Addition):
    '''Features plus one.'''

    def encode(self, net, encode, inputs, present):
        return {m: h + 1 for m, h in encode(inputs, present).items()}
"""
LIONS = {"ambidex.additions": {"lion": "lion:Lion", "tiger": "lion:Tiger"}}


def plan(*names: str) -> Architecture:
    found = replace(architecture(TWO), encoders={m: PLAIN_ENCODERS[m] for m in TWO})
    for name in names:
        found = found.adding(name)
    return found


def net(*names: str) -> MultimodalNet:
    torch.manual_seed(0)
    return MultimodalNet(plan(*names))


def stored(count: int = 5) -> dict[str, torch.Tensor]:
    store = MemoryStore(TWO)
    return {m: store.gather(m, torch.arange(count)) for m in TWO}


def moved(model: MultimodalNet) -> MultimodalNet:
    """With every number of its additions changed."""
    with torch.no_grad():
        for number, tensor in enumerate(model.additions.state_dict().values()):
            tensor.add_(number + 1)
    return model


@pytest.mark.parametrize("name", ADDITIONS.own())
def test_all_else_starts_as_it_does_without(name: str):
    model, plain = net(name), net()
    mine = model.state_dict()
    assert mine.keys() - plain.state_dict().keys() == TENSORS[name]
    for key, tensor in plain.state_dict().items():
        assert torch.equal(mine[key], tensor), key


@pytest.mark.parametrize("name", ADDITIONS.own())
def test_a_saved_model_has_it_and_predicts_bit_for_bit(name: str, tmp_path: Path):
    model = moved(net(name)).eval()
    save_model(model, tmp_path)
    loaded = load_model(tmp_path)
    assert loaded.architecture == model.architecture
    assert torch.equal(loaded(stored()), model(stored()))
    for m, said in model.branches(model.encode(stored())).items():
        assert torch.equal(loaded.branches(loaded.encode(stored()))[m], said)
    assert TENSORS[name] <= load_file(tmp_path / WEIGHTS_FILE).keys()
    other = copy.deepcopy(model)
    moved(other)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(stored()), model(stored()))


@pytest.mark.parametrize("name", ADDITIONS.own())
def test_a_file_from_before_there_were_additions_is_read(name: str, tmp_path: Path):
    model = moved(net(name)).eval()
    save_model(model, tmp_path)
    described = json.loads((tmp_path / MODEL_FILE).read_text())
    given = described["architecture"]
    assert not given.keys() & EARLIER[name].keys()
    del given["additions"]
    (tmp_path / MODEL_FILE).write_text(json.dumps({**described, "architecture": given | EARLIER[name]}))
    loaded = load_model(tmp_path)
    assert [choice.name for choice in loaded.architecture.additions] == [name]
    assert torch.equal(loaded(stored()), model(stored()))
    assert all(map(torch.equal, loaded.state_dict().values(), model.state_dict().values()))


def test_one_from_before_without_any_is_read(tmp_path: Path):
    described = architecture(TWO).to_json()
    assert described.pop("additions") == []
    for keys in ({"heads": False}, {"heads": False, "category_weights": False, "exchange": None}):
        assert Architecture.from_json(described | keys) == architecture(TWO)
    both = described | {"heads": True, "category_weights": True}
    assert Architecture.from_json(both) == architecture(TWO).adding("own_heads").adding("category_weights")


@pytest.mark.parametrize(
    ("additions", "reason"),
    [
        (
            [{"name": "own_head"}],
            "architecture.additions: addition 'own_head' does not exist; did you mean 'own_heads'? ",
        ),
        ([{"name": "mmtm", "ratios": 4}], "architecture.additions.ratios: unknown"),
        ([{"name": "own_heads"}] * 2, "addition 'own_heads': the model has one of its kind already"),
        (["own_heads"], "architecture.additions.0: "),
        (None, "architecture.additions: "),
    ],
)
def test_what_there_is_not_is_refused_in_one_line(additions: object, reason: str, tmp_path: Path):
    save_model(net("own_heads"), tmp_path)
    described = json.loads((tmp_path / MODEL_FILE).read_text())
    described["architecture"]["additions"] = additions
    (tmp_path / MODEL_FILE).write_text(json.dumps(described))
    with pytest.raises(ModelError) as caught:
        load_model(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / MODEL_FILE}: ")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_net_without_it_says_so():
    with pytest.raises(AmbidexError, match="built without CategoryWeights"):
        net("own_heads").addition(CategoryWeights)
    assert isinstance(net("own_heads").addition(OwnHeads), OwnHeads)
    assert net("own_heads").exchange is None


def test_several_act_one_after_the_other():
    model = moved(net("category_weights", "own_heads")).eval()
    h = model.encode(stored())
    weights, heads = model.addition(CategoryWeights).category_weights, model.addition(OwnHeads).heads
    plain = model.fusion.contributions(h)
    for row, (m, z) in zip(weights, model.contributions(h).items(), strict=True):
        assert torch.equal(z, plain[m] * row)
        assert torch.equal(model.branches(h)[m], heads[m](h[m]))
    assert not torch.equal(weights, torch.ones(2, 3))


def test_one_from_elsewhere_is_a_file_and_nothing_else(tmp_path: Path):
    """A projection of the features and a weighing of the contributions, of another distribution."""
    write_distribution(tmp_path, "ambidex-lion", LIONS, lion=LION)
    with installed(tmp_path):
        plain, model = net("category_weights").eval(), moved(net("category_weights", "lion")).eval()
        before, h = plain.encode(stored()), model.encode(stored())
        project = model.additions["lion"].project
        for m in TWO:
            torch.testing.assert_close(h[m], before[m] + before[m] @ project[m].weight.T)
            expected = model.addition(CategoryWeights).contributions(model.fusion.contributions(h), h)[m] / 2
            torch.testing.assert_close(model.contributions(h)[m], expected)
        assert plain.blocks() is not None
        assert model.blocks() is None
        save_model(model, tmp_path / "model")
        names = load_file(tmp_path / "model" / WEIGHTS_FILE).keys()
        assert {f"additions.lion.project.{m}.weight" for m in TWO} <= names
        assert torch.equal(load_model(tmp_path / "model")(stored()), model(stored()))
        with pytest.raises(ModelError, match="one of its kind already"):
            MultimodalNet(plan("lion", "lion"))
    with pytest.raises(
        ModelError, match=r"model\.json: architecture.additions: addition 'lion' does not exist; allowed: "
    ):
        load_model(tmp_path / "model")


@pytest.mark.parametrize("names", [("lion", "tiger"), ("tiger", "lion")])
def test_each_encodes_what_those_before_it_made(names: tuple[str, ...], tmp_path: Path):
    write_distribution(tmp_path, "ambidex-lion", LIONS, lion=LION)
    with installed(tmp_path):
        model, before = moved(net(*names)).eval(), net().eval().encode(stored())
        for m, h in model.encode(stored()).items():
            weight = model.additions["lion"].project[m].weight
            seen = before[m] + (names[0] == "tiger")
            torch.testing.assert_close(h, seen + seen @ weight.T + (names[1] == "tiger"))


def test_the_method_says_what_its_addition_is_like():
    assert plan().adding("mmtm", ratio=8).additions == (Choice(name="mmtm", ratio=8),)
