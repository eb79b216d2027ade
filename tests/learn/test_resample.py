"""An epoch on entries in place of samples: each once, with its mask, however steps, ranks and resumption cut it."""

import os
import signal
import subprocess
import sys

import pytest
import torch

from ambidex.base.errors import PreemptedError
from ambidex.data.kinds._spectrogram import SpectrogramAugment
from ambidex.learn.loop.batches import Batches
from ambidex.learn.loop.resample import Resample
from helpers.memory_store import MemoryStore, engine

TWO = ("audio", "visual")


def _resample(entries=37):
    """Entries of the 24 training samples, some of them several times, with every kind of mask."""
    draws = torch.Generator().manual_seed(0)
    rows = torch.randint(0, 24, (entries,), generator=draws)
    keep = torch.randint(0, 2, (entries, 2), generator=draws).bool()
    return Resample(rows, keep)


def _batches(augment=None, rank=0, ranks=1):
    store = MemoryStore(TWO, {"val": 5, "train": 24})  # train does not begin the store
    return Batches(store, TWO, augment or {}, 0, torch.device("cpu"), rank, ranks)


def _served(batches, accumulate=1, skip=0, resample=None, epoch=1):
    """Per step the whole number, and store row and mask of each of this rank's samples."""
    return [
        (
            whole,
            [entry for part in micro for entry in zip(part.rows.tolist(), part.keep.tolist(), strict=True)],
        )
        for whole, micro in batches.epoch("train", epoch, 8, accumulate, skip, resample)
    ]


@pytest.mark.parametrize(("ranks", "accumulate"), [(1, 1), (1, 3), (2, 1), (2, 2)])
def test_every_entry_is_served_once_with_its_mask(ranks, accumulate):
    resample = _resample()
    expected = [
        (5 + row, keep) for row, keep in zip(resample.rows.tolist(), resample.keep.tolist(), strict=True)
    ]
    found = [_served(_batches(None, rank, ranks), accumulate, resample=resample) for rank in range(ranks)]
    assert sorted(entry for steps in found for _, entries in steps for entry in entries) == sorted(expected)
    for steps in found:
        assert [whole for whole, _ in steps] == [8, 8, 8, 8, 5]
        assert len(steps) == _batches(None, 0, ranks).steps("train", 8, resample) == 5
    together = [entry for parts in zip(*found, strict=True) for _, entries in parts for entry in entries]
    (alone,) = [_served(_batches(), resample=resample)]
    assert together == [entry for _, entries in alone for entry in entries]


def test_the_first_steps_can_be_left_out_and_epochs_differ():
    resample = _resample()
    whole = _served(_batches(), resample=resample)
    assert _served(_batches(), skip=3, resample=resample) == whole[3:]
    assert _served(_batches(), resample=resample, epoch=2) != whole


def test_all_samples_once_is_the_split_itself():
    everyone = Resample(torch.arange(24), torch.ones(24, 2, dtype=torch.bool))
    plain = [part.rows for _, (part,) in _batches().epoch("train", 1, 8, 1)]
    again = [part.rows for _, (part,) in _batches().epoch("train", 1, 8, 1, 0, everyone)]
    assert all(torch.equal(a, b) for a, b in zip(plain, again, strict=True))
    assert all(part.keep is None for _, (part,) in _batches().epoch("train", 1, 8, 1))
    assert _batches().steps("train", 8, everyone) == _batches().steps("train", 8) == 3


def test_copies_of_a_sample_are_augmented_each_in_its_own_way():
    params = {
        "audio": SpectrogramAugment(kind="spectrogram", time_mask=0.9, frequency_mask=0.9, time_shift=0.9)
    }
    copies = Resample(torch.zeros(16, dtype=torch.int64), torch.ones(16, 2, dtype=torch.bool))
    inputs = [
        x for _, (part,) in _batches(params).epoch("train", 0, 8, 1, 0, copies) for x in part.inputs["audio"]
    ]
    assert not any(torch.equal(inputs[i], inputs[j]) for i in range(16) for j in range(i))


def test_a_method_that_does_not_ask_gets_no_mask_and_no_column(tmp_path):
    trained, seen = engine(tmp_path), []
    objective = trained.method.objective
    trained.method.objective = lambda step: (seen.append(step.keep), objective(step))[1]
    trained.fit()
    assert seen == [None] * 3
    assert "samples" not in (tmp_path / "history.csv").read_text().splitlines()[0]


def _two_passes(folder):
    """Two passes of two steps each over 16 entries; the split itself would be three steps."""
    trained = engine(folder, epochs=2, selection="last")
    phases = trained.method.phases
    trained.method.resample = lambda run: _resample(16)
    trained.method.phases = lambda run: [*phases(run)] * 2
    return trained


def test_phases_each_pass_over_the_entries(tmp_path):
    trained, seen = _two_passes(tmp_path), []
    objective = trained.method.objective
    trained.method.objective = lambda step: (seen.append(len(step.keep)), objective(step))[1]
    trained.fit()
    assert seen == [8] * 8


@pytest.mark.parametrize("stop", [1, 2, 3, 6])
def test_a_run_stopped_in_any_pass_goes_on_with_the_step_after(tmp_path, stop):
    whole = _two_passes(tmp_path / "whole")
    whole.fit()
    cut = _two_passes(tmp_path / "cut")
    original = cut.method.step

    def asked(step):
        original(step)
        if cut.state.number + 1 == stop:
            os.kill(os.getpid(), signal.SIGTERM)

    cut.method.step = asked
    with pytest.raises(PreemptedError):
        cut.fit()
    again = _two_passes(tmp_path / "cut")
    again.fit()
    assert again.state.number == whole.state.number == 8
    expected = whole.model.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in again.model.state_dict().items())


RANK = """
import os, sys, torch
from types import SimpleNamespace
from ambidex.learn.loop.ranks import Ranks
from ambidex.learn.loop.resample import Resample, agreed
rank = int(sys.argv[2])
torch.distributed.init_process_group("gloo", init_method="file://" + sys.argv[1], rank=rank, world_size=2)
ranks = Ranks(SimpleNamespace(global_rank=rank, world_size=2))
assert agreed(None, ranks) is None
rows = torch.arange(3 + 2 * rank)
found = agreed(Resample(rows + 10 * rank, torch.stack([rows % 2 == rank, rows >= 0], dim=1)), ranks)
print(found.rows.tolist(), found.keep.tolist())
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_ranks_that_value_differently_train_on_what_the_first_says(tmp_path):
    """Epochs of different lengths would never end."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    command = [sys.executable, "-c", RANK, str(tmp_path / "meet")]
    started = [
        subprocess.Popen([*command, str(rank)], env=environment, stdout=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    try:
        told = [process.communicate(timeout=120)[0].strip() for process in started]
    finally:
        for process in started:
            process.kill()
    assert told == ["[0, 1, 2] [[True, True], [False, True], [True, True]]"] * 2
