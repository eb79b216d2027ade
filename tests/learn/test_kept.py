"""Frozen encoders run once: the same bits as where they run in every epoch, and how often they do."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ambidex.data.kinds._spectrogram import SpectrogramAugment
from ambidex.learn import engine as engine_module
from ambidex.learn.engine import Engine
from ambidex.learn.loop.kept import kept_features
from helpers.memory_store import engine

AUGMENT = {"audio": SpectrogramAugment(kind="spectrogram")}
METHODS: dict[str, dict[str, Any]] = {
    "joint": {},
    "multi_task": {"heads": "own"},
    "opm": {},
    "agm": {},
    "adaptive_head": {},
}


def result(trained: Engine) -> tuple[dict[str, Tensor], list[Any]]:
    trained.fit()
    return trained.model.state_dict(), trained.state.history


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("settings", [{}, {"accumulate": 3, "precision": "bf16"}], ids=["plain", "parts"])
def test_weights_and_history_have_the_bits_of_running_them_in_every_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, settings: dict[str, Any]
) -> None:
    modalities = ("audio", "visual", "touch")
    options = {"modalities": modalities, "frozen": True, "samples": 27, "epochs": 4, **settings}
    weights, history = result(engine(tmp_path / "kept", method, METHODS[method], **options))
    monkeypatch.setattr(engine_module, "kept_features", lambda *_: None)
    again, other = result(engine(tmp_path / "again", method, METHODS[method], **options))
    assert history == other
    assert all(torch.equal(weights[name], again[name]) for name in again)


def runs_of(trained: Engine, modality: str) -> list[int]:
    """Sizes of the batches that go through the encoder while it trains."""
    sizes: list[int] = []
    trained.model.encoder(modality).register_forward_hook(lambda *parts: sizes.append(len(parts[1][0])))
    trained.fit()
    return sizes


def test_every_sample_goes_through_a_frozen_encoder_once_in_each_size_of_batch(tmp_path: Path) -> None:
    trained = engine(tmp_path, frozen=True, samples=27, epochs=6)  # 3 steps of 8 and one of 3; val: 12
    sizes = runs_of(trained, "audio")
    assert sizes.count(12) == 1 + 1
    # epoch 1: all, the first of each size in reverse too; later a batch of 8 that holds one of those 3, and every of 3
    assert sizes[:6] == [8, 8, 8, 8, 3, 3]
    assert 6 + 3 <= len(sizes) - 1 - 3 < 6 * 4
    assert {8, 3, 12} == set(sizes)
    table = trained.kept.tables["audio"]
    with torch.no_grad():
        for rows in trained.batches.store.rows("val").split(12):
            fresh = trained.model.encode_one("audio", trained.batches.store.gather("audio", rows))
            assert torch.equal(table.features[rows], fresh)


def test_what_rounds_by_the_place_in_the_batch_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As matrix products of some widths do: their last rows go through other instructions."""

    def trained(folder: Path) -> Engine:
        one = engine(folder, frozen=True, samples=24, epochs=3)
        one.model.encoder("audio").register_forward_hook(
            lambda _, __, out: out * (1 + 1e-3 * torch.arange(len(out))[:, None])
        )
        return one

    kept = trained(tmp_path / "kept")
    weights, history = result(kept)
    assert set(kept.kept.tables) == {"visual"}
    monkeypatch.setattr(engine_module, "kept_features", lambda *_: None)
    again, other = result(trained(tmp_path / "again"))
    assert history == other
    assert all(torch.equal(weights[name], again[name]) for name in again)


def test_what_changes_is_not_kept(tmp_path: Path) -> None:
    trained = engine(tmp_path / "a", frozen=True)
    trained._build()
    assert trained.kept.modalities == ("audio", "visual")
    trained.batches.augment.update(AUGMENT)
    assert kept_features(trained.model, trained.batches).modalities == ("visual",)
    trained.batches.store.present["visual"] = torch.ones(48, dtype=torch.bool)
    assert kept_features(trained.model, trained.batches) is None
    learning = engine(tmp_path / "b")
    learning._build()
    assert learning.kept is None
    learning.model.encoder("visual").requires_grad_(False)  # as encoder hf with `frozen`
    assert kept_features(learning.model, learning.batches).modalities == ("visual",)


@pytest.mark.parametrize("fusion", ["attention"])
def test_a_head_that_reads_tokens_gets_them_anew(tmp_path: Path, fusion: str) -> None:
    trained = engine(tmp_path, frozen=True, fusion=fusion)
    trained._build()
    assert trained.kept is None
