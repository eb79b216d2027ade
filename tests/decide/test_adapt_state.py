"""The state of a group as a file: it comes back as it was, and one that is damaged or of another model is one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ambidex.base.errors import DataError
from ambidex.base.files import digest, write_json
from ambidex.base.readers import read_json
from ambidex.decide.adaptation.adapting import adapt
from ambidex.decide.adaptation.prior import AdaptationPrior
from ambidex.predict.adapt_state import read_state, write_state

NAMES = ("touch", "audio", "visual")


def batch(seed: int) -> dict[str, Tensor]:
    draws = torch.Generator().manual_seed(seed)
    return {name: torch.randn((9, 5), generator=draws) for name in NAMES}


@pytest.fixture
def prior() -> AdaptationPrior:
    torch.manual_seed(0)
    prior = AdaptationPrior(dict.fromkeys(NAMES, 5), 4)
    for probe in prior.probes.values():
        for tensor in probe.state_dict().values():
            tensor.copy_(torch.rand_like(tensor))
    for name in NAMES:
        prior.typicality(name).fit(batch(1)[name].repeat(4, 1), ["all"] * 36)
    return prior


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"numbers")
    return folder


def test_a_state_comes_back_bit_for_bit(prior: AdaptationPrior, model: Path, tmp_path: Path) -> None:
    state, file = adapt(prior, batch(2)).state, tmp_path / "room.json"
    assert read_state(file, prior, model) is None
    write_state(file, state, model)
    loaded = read_state(file, prior, model)
    assert loaded is not None
    kept, carried = adapt(prior, batch(3), state, 0.7), adapt(prior, batch(3), loaded, 0.7)
    assert carried.samples == pytest.approx(9 + 0.7 * 9)
    assert np.array_equal(kept.lapse, carried.lapse)
    assert np.array_equal(kept.state.evidence.by_rate, carried.state.evidence.by_rate)
    assert np.array_equal(kept.state.moments["audio"].second, carried.state.moments["audio"].second)
    assert not np.array_equal(carried.lapse, adapt(prior, batch(3)).lapse)  # it does matter


def signed(value: dict[str, Any]) -> dict[str, Any]:
    rest = {key: own for key, own in value.items() if key != "digest"}
    return rest | {"digest": digest(rest)}


def without_a_hypothesis(value: dict[str, Any]) -> dict[str, Any]:
    value["evidence"]["at_means"].pop()
    return signed(value)


def ragged(value: dict[str, Any]) -> dict[str, Any]:
    value["evidence"]["by_rate"][0][0].pop()
    return signed(value)


def another_modality(value: dict[str, Any]) -> dict[str, Any]:
    value["moments"]["smell"] = value["moments"].pop("touch")
    return signed(value)


def negative(value: dict[str, Any]) -> dict[str, Any]:
    value["moments"]["touch"]["count"] = -1.0
    return signed(value)


def changed(value: dict[str, Any]) -> dict[str, Any]:
    value["evidence"]["at_means"][0] += 1.0
    return value


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (changed, "is damaged: its digest is not that of its numbers"),
        (without_a_hypothesis, "evidence.at_means: expected numbers of shape 7"),
        (ragged, "evidence.by_rate: expected numbers of shape 7 x 3 x 41"),
        (another_modality, "moments.smell: the model has no such modality"),
        (negative, "moments.touch.count"),
        (lambda value: signed(value | {"format": 2}), "has format 2, this ambidex reads 1"),
        (lambda value: {"format": 1}, "model"),
        (lambda value: [], "expected an object"),
    ],
)
def test_a_damaged_file_is_one_line(
    prior: AdaptationPrior, model: Path, tmp_path: Path, harm: Callable[[Any], Any], message: str
) -> None:
    file = tmp_path / "room.json"
    write_state(file, adapt(prior, batch(2)).state, model)
    write_json(file, harm(read_json(file)))
    with pytest.raises(DataError) as error:
        read_state(file, prior, model)
    assert str(error.value).startswith(str(file))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["", "{", json.dumps({"a": 1})[:-1], "NaN"])
def test_what_is_no_json_is_one_line(
    prior: AdaptationPrior, model: Path, tmp_path: Path, content: str
) -> None:
    file = tmp_path / "room.json"
    file.write_text(content)
    with pytest.raises(DataError, match="name another file, or delete it"):
        read_state(file, prior, model)
    with pytest.raises(DataError, match="is a folder"):
        read_state(tmp_path, prior, model)


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_a_state_belongs_to_one_model(prior: AdaptationPrior, model: Path, tmp_path: Path, name: str) -> None:
    file = tmp_path / "room.json"
    write_state(file, adapt(prior, batch(2)).state, model)
    (model / name).write_bytes(b"fitted anew")
    with pytest.raises(DataError, match="belongs to another model than"):
        read_state(file, prior, model)
