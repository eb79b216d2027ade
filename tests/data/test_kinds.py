"""Kinds: nothing else branches on their names, those of one tensor are one after extraction, and stores name them."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ambidex.base.errors import DataError, ModelError
from ambidex.data.kinds import KINDS, InputSpec, owner_of, owners
from ambidex.data.kinds.frames import Frames
from ambidex.data.kinds.image import Image
from ambidex.data.kinds.sequence import SequenceKind
from ambidex.data.media.container import MediaError
from ambidex.data.store.extraction import extract_sample
from ambidex.data.store.reading import FeatureStore, store_fingerprint
from ambidex.testing import CheckError, check_kind
from helpers.manifests import extract, extract_params, write_manifest
from helpers.media import random_pictures, write_clip, write_image

ROOT = Path(__file__).parents[2]
PLACES = ("src/ambidex", "components", "pipelines")
HOME = ROOT / "src/ambidex/data/kinds"
NAMES = {*KINDS.names(), *owners()}
CLASSES = {kind.__name__ for kind in KINDS.all().values()}
AFTER_EXTRACTION = ("axes", "dtype", "ragged", "statistics", "moments", "normalise", "augment", "Augment")


def branches(tree: ast.AST) -> Iterator[str]:
    """Where a file asks for a kind by name or class, or imports one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare | ast.MatchValue):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Constant) and isinstance(inner.value, str) and inner.value in NAMES:
                    yield f"line {node.lineno} compares with '{inner.value}'"
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "issubclass"):
            yield from (
                f"line {node.lineno} asks for a {inner.id}"
                for inner in ast.walk(node.args[1])
                if isinstance(inner, ast.Name) and inner.id in CLASSES
            )
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ambidex.data.kinds."):
            yield f"line {node.lineno} imports {node.module}"


def test_no_file_branches_on_a_kind() -> None:
    files = [path for place in PLACES for path in (ROOT / place).rglob("*.py") if HOME not in path.parents]
    assert len(files) > 300
    found = {
        str(path.relative_to(ROOT)): places
        for path in files
        if (places := list(branches(ast.parse(path.read_text()))))
    }
    assert not found


@pytest.mark.parametrize(
    "line",
    [
        'if spec.kind == "frames": pass',
        'if kind in ("vector", "text"): pass',
        'match kind:\n    case "spectrogram": pass',
        "if isinstance(kind, Frames | str): pass",
        "from ambidex.data.kinds.vector import Vector",
    ],
)
def test_a_branch_would_be_found(line: str) -> None:
    assert list(branches(ast.parse(line)))


def test_kinds_of_one_tensor_are_one_after_extraction() -> None:
    assert owners().keys() == {"flow", "frames", "sequence", "spectrogram", "tokens", "vector", "waveform"}
    for name, kind in KINDS.all().items():
        owner = owner_of(kind.tensor)
        for attribute in AFTER_EXTRACTION:
            mine, theirs = getattr(kind, attribute), getattr(owner, attribute)
            assert getattr(mine, "__func__", mine) == getattr(theirs, "__func__", theirs), (name, attribute)
        assert kind.__doc__
        assert kind.Config.model_fields["kind"].annotation.__args__ == (name,)
        assert kind.Augment.model_fields["kind"].annotation.__args__ == (kind.tensor,)


CELLS: dict[str, tuple[str, dict[str, Any]]] = {
    "flow": ("film.mp4", {"count": 2, "size": 16}),
    "frames": ("film.mp4", {"count": 2, "size": 16}),
    "image": ("one.png", {"size": 16}),
    "log_mel": ("film.mp4", {"seconds": 0.5}),
    "log_stft": ("film.mp4", {"seconds": 0.5}),
    "sequence": ("walk.npy", {}),
    "text": ("a white dog", {"length": 5}),
    "vector": ("walk.npy[1]", {}),
    "waveform": ("film.mp4", {"seconds": 0.5}),
}


@pytest.mark.parametrize("name", KINDS.own())
def test_every_kind_keeps_the_contract(name: str, tmp_path: Path) -> None:
    write_image(tmp_path / "one.png", random_pictures(1, (32, 24))[0])
    write_clip(tmp_path / "film.mp4", seconds=0.5)
    np.save(tmp_path / "walk.npy", np.random.default_rng(0).normal(size=(9, 3)))
    cell, options = CELLS[name]
    check_kind(name, cell, tmp_path, options)


def test_a_ragged_kind_whose_padding_is_not_zero_breaks_the_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "walk.npy", np.random.default_rng(0).normal(3, size=(9, 3)))
    options = {"length": 12}
    check_kind("sequence", "walk.npy", tmp_path, options)
    monkeypatch.setattr(SequenceKind, "normalise", classmethod(lambda cls, x, mean, std: x - 1))
    with pytest.raises(CheckError, match=r"kind sequence on walk.npy, padding normalised: expected zeros"):
        check_kind("sequence", "walk.npy", tmp_path, options)


def test_a_tensor_that_no_kind_makes_is_one_line() -> None:
    with pytest.raises(ModelError, match="no kind makes a tensor 'smell'; known: flow, frames, sequence"):
        _ = InputSpec("smell", (3,)).axes


def test_one_picture_is_what_frames_make_of_it_and_a_film_is_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "one.png", random_pictures(1, (32, 24))[0])
    write_clip(tmp_path / "film.mp4", seconds=0.5)
    image, frames = Image.of(size=16), Frames.of(count=1, size=16)
    assert image.shape == frames.shape == (1, 3, 16, 16)
    cells, wants = {"image": "one.png", "frames": "one.png"}, {"image": image, "frames": frames}
    found = extract_sample(cells, wants, tmp_path)
    assert np.array_equal(found["image"], found["frames"])
    film = extract_sample({"frames": "film.mp4"}, {"frames": frames}, tmp_path)
    assert film["frames"].shape == (1, 3, 16, 16)
    with pytest.raises(MediaError, match="is a film of 5 pictures, expected one picture"):
        extract_sample({"image": "film.mp4"}, {"image": image}, tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "kind",
            "smell",
            "modalities.touch.kind: got 'smell', expected one of flow, frames, sequence, spectrogram, tokens, "
            "vector, waveform",
        ),
        ("dtype", "uint8", "modalities.touch.dtype: got 'uint8', expected 'float32'"),
    ],
)
def test_an_index_that_names_another_tensor_is_refused(
    tmp_path: Path, key: str, value: str, message: str
) -> None:
    folder = tmp_path / "manifest"
    folder.mkdir()
    np.save(folder / "touch.npy", np.eye(8, 3))
    write_manifest(folder, [{"touch": f"touch.npy[{k}]"} for k in range(8)])
    extract(folder, tmp_path / "features", extract_params({"touch": {"kind": "vector"}}))
    index = tmp_path / "features/index.json"
    info = json.loads(index.read_text())
    assert info["modalities"]["touch"]["kind"] == "vector"
    info["modalities"]["touch"][key] = value
    info["fingerprint"] = store_fingerprint(info)
    index.write_text(json.dumps(info))
    with pytest.raises(DataError, match=message):
        FeatureStore.open(tmp_path / "features")
