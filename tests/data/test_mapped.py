"""Samples of many shards are gathered as from one tensor, without holding them."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ambidex.data.store.mapped import Mapped


def _parts(shape: tuple[int, ...], dtype: torch.dtype) -> list[Tensor]:
    """Tensors of 4, 1 and 7 samples, the first of which lies last in memory."""
    block = torch.randint(0, 255, (40, *shape), generator=torch.Generator().manual_seed(3)).to(dtype)
    return [block[30:34], block[2:3], block[5:12]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
@pytest.mark.parametrize("shape", [(3,), (1,), (2, 5), (1, 3, 4, 4)])
def test_samples_of_parts_that_lie_anywhere(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    parts = _parts(shape, dtype)
    rows = torch.tensor([11, 0, 4, 3, 5, 0])
    gathered = Mapped(parts).gather(rows)
    assert gathered.dtype == dtype
    assert gathered.is_contiguous()
    assert torch.equal(gathered, torch.cat(parts)[rows])
    gathered.zero_()
    assert torch.equal(Mapped(parts).gather(rows[:1]), parts[2][-1:])  # the parts are as they were


@pytest.mark.parametrize("row", [-1, 12, 2**62])
@pytest.mark.parametrize("shape", [(3,), (5_000,)])
def test_a_sample_that_is_not_there_is_refused(shape: tuple[int, ...], row: int) -> None:
    for rows in (torch.tensor([0, row]), torch.tensor([row])):
        with pytest.raises((IndexError, RuntimeError)):
            Mapped(_parts(shape, torch.float32)).gather(rows)


@pytest.mark.parametrize("offset", [1, 2, 3, 4])
def test_a_tensor_that_a_file_holds_at_an_odd_byte(tmp_path: Path, offset: int) -> None:
    """The format aligns nothing: a header of any length may stand before the numbers."""
    wanted = torch.arange(24, dtype=torch.float32).reshape(8, 3)
    parts = []
    for name, padding, rows in (("a", 0, wanted[:4]), ("b", offset, wanted[4:])):
        save_file({"x": rows.contiguous()}, tmp_path / name)
        raw = (tmp_path / name).read_bytes()
        length = int.from_bytes(raw[:8], "little")
        head = (length + padding).to_bytes(8, "little") + raw[8 : 8 + length] + b" " * padding
        (tmp_path / name).write_bytes(head + raw[8 + length :])
        parts.append(load_file(tmp_path / name)["x"])
    rows = torch.tensor([7, 0, 4, 3])
    assert torch.equal(Mapped(parts).gather(rows), wanted[rows])
    assert torch.equal(Mapped(parts[::-1]).gather(rows), torch.cat(parts[::-1])[rows])


@pytest.mark.parametrize("shape", [(3,), (5_000,)])
def test_parts_without_samples_hold_none(shape: tuple[int, ...]) -> None:
    full = _parts(shape, torch.float32)
    empty = full[0][:0]
    rows = torch.tensor([11, 0, 4])
    gathered = Mapped([empty, full[0], empty, *full[1:], empty]).gather(rows)
    assert torch.equal(gathered, torch.cat(full)[rows])
    assert Mapped([empty, empty]).gather(rows[:0]).shape == (0, *shape)


def test_samples_that_are_not_asked_for_stay_on_disk(tmp_path: Path) -> None:
    """64 MiB in four shards, of which two samples are read: no copy of all is held."""
    for k in range(4):
        save_file({"x": torch.full((8_192, 512), float(k))}, tmp_path / f"{k}")
    before = _resident()
    mapped = Mapped([load_file(tmp_path / f"{k}")["x"] for k in range(4)])
    rows = mapped.gather(torch.tensor([8_191, 8_192]))
    assert rows[:, 0].tolist() == [0.0, 1.0]
    assert _resident() - before < 32 * 2**20


def _resident() -> int:
    """Resident bytes of this process."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    except OSError:
        pytest.skip("needs /proc/self/statm")
