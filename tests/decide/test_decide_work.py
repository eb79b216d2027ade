"""`auto` leaves out what is too large for it, by a rule of sizes alone, and says so."""

from types import SimpleNamespace

import pytest
import torch

from ambidex.decide.allocators import ALLOCATORS
from ambidex.decide.options import allocator_config
from ambidex.report.repair_table import left_out
from helpers.heldouts import fit, habitual, said

NAMES = ("modality", "confusion", "stacking")


def work(name, *shape):
    return ALLOCATORS.get(name).work(allocator_config(name, {}, 5, 0), *shape)


def test_what_can_take_long_is_counted():
    # 5 folds, 5 strengths, 40 iterations of two products of [5000, 2 * 309] with [2 * 309, 309]
    assert work("stacking", 5_000, 2, 309) == pytest.approx(5 * 5 * 40 * 2 * 5_000 * 618 * 309)
    assert work("confusion", 5_000, 2, 309) == pytest.approx((5 + 6) * 5_000 * 618 * 309)
    # 7 strengths in 5 folds, 8 looks at every number; 30 steps in 5 folds and on all
    assert work("category", 5_000, 2, 309) == pytest.approx(5 * 7 * 8 * 250 * 5_000 * 618)
    assert work("gate", 5_000, 2, 309) == pytest.approx(6 * 30 * 400 * 5_000 * 618)
    assert work("modality", 5_000, 2, 309) == 0


def test_the_rule_keeps_all_at_usual_sizes_and_leaves_the_slowest_out_at_309_classes():
    limit = allocator_config("auto", {}, 5, 0).most_work
    assert work("stacking", 2_000, 3, 50) < limit < work("stacking", 5_000, 2, 309)
    for name in ("category", "gate"):
        assert work(name, 2_000, 3, 101) < limit < work(name, 5_000, 2, 309)
    assert work("confusion", 5_000, 3, 309) < limit


def test_what_is_left_out_is_named_and_changes_nothing_else():
    held = habitual(count=120)
    whole = fit("auto", held, candidates=("modality", "confusion"))
    limited = fit("auto", held, candidates=NAMES, most_work=work("stacking", 120, 2, 3) - 1)
    rows = {row["name"]: row for row in limited.allocator.record["candidates"]}
    assert rows["stacking"]["status"] == "left out"
    assert rows["stacking"]["work"] == work("stacking", 120, 2, 3)
    assert "nll" not in rows["stacking"]
    assert {rows[name]["status"] for name in ("uniform", "modality", "confusion")} == {"tried"}
    assert torch.equal(said(limited, held), said(whole, held))
    assert limited.allocator.record["chosen"] == whole.allocator.record["chosen"]


def test_at_the_limit_it_is_tried():
    held = habitual(count=60)
    fitted = fit("auto", held, candidates=("stacking",), most_work=work("stacking", 60, 2, 3))
    assert {row["status"] for row in fitted.allocator.record["candidates"]} == {"tried"}


def test_the_report_says_so():
    record = fit("auto", habitual(count=60), candidates=NAMES, most_work=1.0).allocator.record
    words = left_out(SimpleNamespace(fitted=[SimpleNamespace(record=record), SimpleNamespace(record={})]))
    assert "confusion (" in words
    assert "stacking (" in words
    assert "modality" not in words
    assert left_out(SimpleNamespace(fitted=[SimpleNamespace(record={})])) == ""
