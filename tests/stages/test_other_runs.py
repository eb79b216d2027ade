"""A stage that was stopped, then asked for with other parameters, data or code: nothing is lost before it is whole."""

import json
import shutil
import time
from pathlib import Path

import pytest
import torch

from ambidex.base.errors import PreemptedError
from ambidex.base.layout import Layout
from ambidex.base.source import text
from ambidex.commands.freshness import up_to_date
from ambidex.configuration.params import Params
from ambidex.resolve.cell import resolve
from ambidex.stages import code, run
from helpers.runs import extracted, small_params, write_manifest
from helpers.stopping import same_model, sigterm_in_step

STEPS = 12
"""of three epochs, see tests/stages/test_preempted.py"""


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return extracted(tmp_path_factory.mktemp("run"))


def params(**train: object) -> Params:
    return small_params(train={"method": "ogm_ge", **train}, crossfit={"folds": 2})


def train(layout: Layout, given: Params, output: Path, features: Path | None = None) -> None:
    run("train", given, {"features": features or layout.features}, {"model": output})


def stopped(layout: Layout, given: Params, output: Path, step: int = 6, features: Path | None = None) -> None:
    with pytest.raises(PreemptedError), sigterm_in_step(step):
        train(layout, given, output, features)


def number(folder: Path) -> int:
    """The step of a checkpoint."""
    return int(torch.load(folder / "checkpoint.pt", weights_only=True)["number"])


def test_a_slip_of_the_pen_costs_no_training(
    layout: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "model"
    stopped(layout, params(), output)
    stopped(layout, params(learning_rate=0.1), output, step=2)
    kept = tmp_path / "model.aside.partial"
    assert capsys.readouterr().err == (
        "train: keeps a checkpoint after step 6 of epoch 2 of another run (train.learning_rate was 0.01, is 0.1) "
        f"in {kept} until this one is whole\n"
    )
    assert (number(kept), number(tmp_path / "model.partial")) == (6, 2)
    with sigterm_in_step(STEPS - 6 + 1):  # never reached: six steps are left
        train(layout, params(), output)
    assert f"train: goes on from a checkpoint after step 6 of epoch 2, kept aside in {kept}\n" in (
        capsys.readouterr().err
    )
    train(layout, params(), tmp_path / "whole")
    assert same_model(output, tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "whole"]


def test_it_goes_when_the_new_run_is_whole(layout: Layout, tmp_path: Path) -> None:
    output = tmp_path / "model"
    stopped(layout, params(), output)
    stopped(layout, params(epochs=1), output, step=2)
    assert number(tmp_path / "model.aside.partial") == 6
    train(layout, params(epochs=1), output)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_in_a_folder_of_many_runs_each_has_its_own_place(
    layout: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """There nothing is in the way of another run, and nothing goes that is not this run's."""
    runtime = {"checkpoints": str(tmp_path / "volume")}
    for rate in (0.01, 0.1):
        given = small_params(train={"method": "ogm_ge", "learning_rate": rate}, runtime=runtime)
        stopped(layout, given, tmp_path / "model")
    assert len(list((tmp_path / "volume").iterdir())) == 2
    train(layout, given, tmp_path / "model")
    assert len(list((tmp_path / "volume").iterdir())) == 1
    assert capsys.readouterr().err == ""


def test_changed_code_and_changed_data_are_told(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "model"
    stopped(layout, params(), output)
    monkeypatch.setattr(code, "code_fingerprint", lambda stage, params: "another")
    stopped(layout, params(), output, step=2)
    said = capsys.readouterr().err
    assert "(the code changed)" in said
    other = Layout(tmp_path / "other")
    write_manifest(other, seed=1)
    run("extract", small_params(), {"manifest": other.manifest}, {"features": other.features})
    stopped(layout, params(), output, step=3, features=other.features)
    said = capsys.readouterr().err
    assert "(the data changed)" in said
    assert said.endswith("is whole, in place of a checkpoint after step 6 of epoch 2\n")


def test_a_change_in_a_report_costs_no_training(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The real sources, with a comment in the loop and other code in report/."""
    monkeypatch.setattr(text, "_BEGAN", time.time_ns() + 10**12)  # as if they had been written before
    home = tmp_path / "src"
    shutil.copytree(Path(code.__file__).parents[1], home / "ambidex")
    for name, more in (("report/html.py", "NEW = 1\n"), ("learn/loop/batches.py", "# a comment\n")):
        file = home / "ambidex" / name
        file.write_text(file.read_text() + more)
    real = code.modules
    output = tmp_path / "model"
    stopped(layout, params(), output)
    monkeypatch.setattr(code, "modules", lambda stage, names=None: real(stage, names, home))
    code._fingerprint.cache_clear()
    with sigterm_in_step(STEPS - 6 + 1):
        train(layout, params(), output)
    assert up_to_date("train", resolve(params()), {"features": layout.features}, output)
    file = home / "ambidex/learn/loop/clock.py"
    file.write_text(file.read_text() + "NEW = 1\n")
    code.read_source.cache_clear()
    code._fingerprint.cache_clear()
    assert not up_to_date("train", resolve(params()), {"features": layout.features}, output)
    monkeypatch.undo()
    code._fingerprint.cache_clear()
    assert up_to_date("train", resolve(params()), {"features": layout.features}, output)


@pytest.mark.parametrize("found", ["0" * 16, None, "missing"])
def test_a_card_of_before_is_stale_and_no_more(layout: Layout, tmp_path: Path, found: str | None) -> None:
    output, inputs = tmp_path / "model", {"features": layout.features}
    train(layout, params(epochs=1), output)
    assert up_to_date("train", resolve(params(epochs=1)), inputs, output)
    card = json.loads((output / "card.json").read_text())
    if found == "missing":
        del card["code"]
    else:
        card["code"] = found
    (output / "card.json").write_text(json.dumps(card))
    assert not up_to_date("train", resolve(params(epochs=1)), inputs, output)
    train(layout, params(epochs=1), output)
    assert up_to_date("train", resolve(params(epochs=1)), inputs, output)


def test_finished_folds_come_back(layout: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output, inputs = tmp_path / "crossfit", {"features": layout.features}

    def crossfit(step: int, **changes: object) -> None:
        with sigterm_in_step(step):
            run("crossfit", params(**changes), inputs, {"crossfit": output})

    with pytest.raises(PreemptedError):
        crossfit(8)  # in the second fold: of 15 steps the first has 6
    kept = tmp_path / "crossfit.aside.partial"
    with pytest.raises(PreemptedError):
        crossfit(2, seed=3)
    said = capsys.readouterr().err
    assert f"crossfit: keeps 1 finished fold of another run (train.seed was 0, is 3) in {kept}" in said
    assert (kept / "fold-0").exists()
    crossfit(15 - 8 + 1)
    assert "crossfit: goes on from 1 finished fold, kept aside" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["crossfit"]


def test_finished_shards_come_back(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ambidex.stages import extract

    real, written = extract.write_shard, []

    def extracting(most: int, size: int) -> None:
        def write(*given: object) -> object:
            if len(written) == most:
                raise KeyboardInterrupt
            written.append(given)
            return real(*given)  # type: ignore[arg-type]

        written.clear()
        monkeypatch.setattr(extract, "write_shard", write)
        sized = small_params(extract={"shard_size": size})
        run("extract", sized, {"manifest": layout.manifest}, {"features": tmp_path / "features"})

    with pytest.raises(KeyboardInterrupt):
        extracting(3, size=20)
    with pytest.raises(KeyboardInterrupt):
        extracting(1, size=60)
    kept = tmp_path / "features.aside.partial"
    assert (
        "extract: keeps 3 finished shards of another run (extract.shard_size was 20, is 60) "
        f"in {kept} until this one is whole\n"
    ) in capsys.readouterr().err
    extracting(99, size=20)
    assert len(written) == 6 - 3
    assert [path.name for path in tmp_path.iterdir()] == ["features"]
