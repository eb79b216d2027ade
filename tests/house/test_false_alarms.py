"""The benchmark of the study's own test: which seeds it compares, what it counts, and what it refuses."""

import torch
from benchmarks.false_alarms import alarms, main, splits

from helpers.checkout import ROOT


def test_every_two_seeds_meet_every_two_others_once():
    """Of 5 seeds 4 are chosen in 5 ways, and cut in half in 3."""
    found = list(splits(5))
    assert len(found) == len({frozenset(map(frozenset, pair)) for pair in found}) == 5 * 3
    assert all(not set(a) & set(b) for a, b in found)


def test_lucky_seeds_alarm_the_test_over_samples_alone():
    """Paired differences of -0.4 and +0.2, of -0.4 and -0.2: effects over samples, none over seeds."""
    draws = torch.Generator().manual_seed(0)
    luck = torch.tensor([0.0, 0.4, 0.3, 0.1], dtype=torch.float64)[:, None]
    found = alarms(luck + 0.1 * torch.randn(4, 300, dtype=torch.float64, generator=draws))
    over_samples, crossed = zip(*found, strict=True)
    assert over_samples[1:] == (True, True)
    assert not any(crossed)


def test_what_cannot_be_read_is_one_line(tmp_path, capsys):
    assert main([str(tmp_path)]) != 0
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "params.yaml" in error
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    assert main([str(tmp_path)]) != 0
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "holds no report of the study's cells" in error
