"""Every data set, diagnostic and logger of this library keeps the contract that authors elsewhere are held to."""

from pathlib import Path

import numpy as np
import pytest

from ambidex.data.datasets import DATASETS, Dataset, Listing
from ambidex.data.manifest import Row
from ambidex.judge.diagnose import DIAGNOSTICS, Diagnosis, Diagnostic
from ambidex.learn.log import LOGGERS, Logger
from ambidex.testing import CheckError, check_dataset, check_diagnostic, check_logger, diagnostics

ALL = {*diagnostics.CASES}


@pytest.mark.parametrize("name", DIAGNOSTICS.own())
def test_diagnostics_keep_the_contract(name):
    assert {*check_diagnostic(name)} == ({"samples that lack modalities"} if name == "presence" else ALL)


@pytest.mark.parametrize("name", LOGGERS.own())
def test_loggers_keep_the_contract(name, tmp_path):
    if name == "mlflow":
        pytest.importorskip("mlflow")
    check_logger(name, {"tracking_uri": str(tmp_path / "server")} if name == "mlflow" else {})


class Careless(Logger):
    """Writes beside the training's folder, and into the history."""

    def epoch(self, history):
        history[-1]["mine"] = 1


class Elsewhere(Logger):
    def flush(self):
        (self.training.folder.parent / "notes.txt").write_text("mine")


class Broken(Logger):
    def points(self, values, step):
        raise ConnectionError("the server\nis away")


@pytest.mark.parametrize(
    ("logger", "reason"),
    [
        (Careless, "the history left as it is"),
        (Elsewhere, "folder alone"),
        (Broken, "ConnectionError: the server"),
    ],
)
def test_a_logger_that_breaks_the_contract_is_told_so_in_one_line(logger, reason):
    with pytest.raises(CheckError, match=reason) as caught:
        check_logger(logger)
    assert "\n" not in str(caught.value)


class Undefined(Diagnostic):
    def run(self, evaluation):
        return Diagnosis({"mean": float("nan")})


class Drawing(Diagnostic):
    def run(self, evaluation):
        import torch

        return Diagnosis({"mean": float(torch.rand(()))})


class Writing(Diagnostic):
    def run(self, evaluation):
        evaluation.model.fusion.linear.bias.data.add_(1)
        return Diagnosis({})


@pytest.mark.parametrize(
    ("diagnostic", "reason"),
    [
        (Undefined, "None for what is undefined"),
        (Drawing, "random state"),
        (Writing, "model.fusion.linear.bias bit for bit"),
    ],
)
def test_a_diagnostic_that_breaks_the_contract_is_told_so(diagnostic, reason):
    with pytest.raises(CheckError, match=reason):
        check_diagnostic(diagnostic)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A source for each data set that is quick to make here."""
    folder = tmp_path_factory.mktemp("sources")
    draws = np.random.default_rng(0)
    labels = np.arange(12) % 2
    np.savez(
        folder / "some.npz", left=draws.normal(size=(12, 3)), right=draws.normal(size=(12, 2)), labels=labels
    )
    rows = [f"s{i},{'ab'[i % 2]},train,g{i},some.npz#left[{i}]," for i in range(12)]
    (folder / "some.csv").write_text("\n".join(["sample_id,label,split,group,left,right", *rows]))
    return folder


def test_data_sets_keep_the_contract(sources, tmp_path):
    assert "refused" in check_dataset("npz", sources / "some.npz")
    check_dataset("manifest", sources / "some.csv")
    small = {"classes": 2, "samples_per_class": 3, "train_speakers": 1, "val_speakers": 1, "test_speakers": 1}
    assert "refused" not in check_dataset("synthetic", None, small | {"seconds": 0.3, "size": 16})


class Made(Dataset):
    needs_source = False

    def list_samples(self, source, output, seed):
        (output / "a.csv").write_text("x\n1\n")
        return Listing([Row("s0", "a", "train", "", {"left": "a.csv[0]"})], ("left",))


class Forgets(Made):
    def list_samples(self, source, output, seed):
        found = super().list_samples(source, output, seed)
        (output / "a.csv").unlink()
        return found


class Changes(Made):
    count = 0

    def list_samples(self, source, output, seed):
        Changes.count += 1
        found = super().list_samples(source, output, seed)
        return Listing([*found.rows, Row(f"s{Changes.count}", "b", "", "", {"left": "a.csv[0]"})], ("left",))


def test_a_data_set_that_breaks_the_contract_is_told_so():
    check_dataset(Made)
    with pytest.raises(CheckError, match=r"a\.csv does not exist"):
        check_dataset(Forgets)
    with pytest.raises(CheckError, match="the same rows"):
        check_dataset(Changes)
    with pytest.raises(CheckError, match="needs_source True, got False"):
        check_dataset(Made, Path("somewhere"))
    own = "av_digits av_mnist balanced_av cmu_mosei cmu_mosi cremad folder food101 kinetics_sounds manifest multiview"
    assert {*f"{own} npz synthetic ucf101 vggsound".split()} == {*DATASETS.own()}
