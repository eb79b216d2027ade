"""`ambidex predict` on real files: what the report said of the same clips, and a line for each that cannot be read."""

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from ambidex.base.errors import DataError, ModelError, ParamsError
from ambidex.base.files import write_json
from ambidex.base.readers import read_json
from ambidex.cli import main
from ambidex.commands.predict import _check_named
from ambidex.data.kinds.frames import Frames
from ambidex.data.kinds.log_mel import LogMel
from ambidex.data.kinds.vector import Vector
from ambidex.predict.clips import clip_cells, wants_of
from ambidex.predict.prediction import Predictor, margin_shares
from helpers.manifests import write_manifest
from helpers.media import random_pictures, tone, write_clip, write_image, write_wav

AUDIO = {"kind": "log_mel", "seconds": 0.3, "sample_rate": 8_000, "n_fft": 256, "hop": 128, "n_mels": 16}
VISUAL = {"kind": "frames", "count": 2, "size": 16}
TOUCH = {"kind": "vector"}
CLASSES = ("a", "b")
COUNT = 24


def write_params(path: Path) -> Path:
    small = {"name": "small_cnn", "width": 2, "dim": 4}
    loop = {"epochs": 2, "batch_size": 8}
    params = {
        "extract": {"modalities": {"visual": VISUAL, "audio": AUDIO, "touch": TOUCH}, "workers": 1},
        "model": {
            "encoders": {"visual": small, "audio": small, "touch": {"name": "mlp", "hidden": [], "dim": 4}}
        },
        "pretrain": loop,
        "train": {**loop, "method": "joint", "regime": "scratch"},
        "evaluate": {"resamples": 100, "diagnostics": ["probes"], "allocators": ["uniform"]},
        "runtime": {"accelerator": "cpu", "threads": 1},
    }
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 clips (a third of them a wav and a picture) with a vector each, a model, and it repaired and saved."""
    root = tmp_path_factory.mktemp("predict")
    media = root / "runs" / "manifest"
    media.mkdir(parents=True)
    np.savez(media / "v.npz", touch=np.random.default_rng(0).normal(size=(COUNT, 3)))
    rows = []
    for k in range(COUNT):
        hertz, seen = 300 + 900 * (k % 2) + 10 * k, random_pictures(2, (32, 32), seed=k)
        if k % 3:
            name = write_clip(
                media / f"{k}.mp4", 0.3, size=(32, 32), seed=k, waveform=tone(0.3, 16_000, hertz)
            ).name
            cells = {"visual": name, "audio": name}
        else:
            sound, picture = (
                write_wav(media / f"{k}.wav", tone(0.3, 16_000, hertz)),
                write_image(media / f"{k}.png", seen[0]),
            )
            cells = {"visual": picture.name, "audio": sound.name}
        rows.append(cells | {"touch": f"v.npz#touch[{k}]"})
    write_manifest(media, rows)
    params = write_params(root / "params.yaml")
    for verb in ("extract", "train"):
        assert ambidex(root, verb) == 0
    assert ambidex(root, "evaluate", "--allocator", "category", "--save") == 0
    assert params.exists()
    return root


def ambidex(root: Path, verb: str, *arguments: str) -> int:
    return main([verb, "--params", str(root / "params.yaml"), "--runs", str(root / "runs"), *arguments])


@pytest.fixture
def report(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The report with its model; relative paths of clips are those of the manifest."""
    monkeypatch.chdir(project / "runs/manifest")
    return project / "runs/reports/joint-scratch-0"


def clips(report: Path, split: str = "test") -> list[str]:
    """Every clip of a split as one would name it, in the order of the report."""
    with (report.parents[1] / "manifest/manifest.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == split]
    return [f"visual={row['visual']},audio={row['audio']},touch={row['touch']}" for row in rows]


def predicted(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> list[dict[str, Any]]:
    """The JSON lines of `ambidex predict --json`."""
    capsys.readouterr()
    assert main(["predict", *map(str, arguments), "--json"]) == code
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_files_are_predicted_as_the_report_says(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = load_file(report / "predictions.safetensors")["allocator/category"]
    found = predicted(capsys, report / "model", *clips(report))
    assert [line["clip"] for line in found] == clips(report)
    for line, expected in zip(found, said.tolist(), strict=True):
        assert [line["probabilities"][c] for c in CLASSES] == pytest.approx(expected, abs=1e-5)
        assert line["class"] == CLASSES[int(np.argmax(expected))]
        assert line["probability"] == max(line["probabilities"].values())
        assert sum(line["shares"].values()) == pytest.approx(1)
        assert list(line["shares"]) == ["visual", "audio", "touch"]


def test_the_trained_model_predicts_with_the_plain_sum_and_says_so(
    report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = report.parents[1] / "models/joint-scratch-0"
    said = load_file(report / "predictions.safetensors")["allocator/uniform"]
    found = predicted(capsys, model, *clips(report))
    assert [line["probabilities"]["a"] for line in found] == pytest.approx(said[:, 0].tolist(), abs=1e-5)
    assert main(["predict", str(model), *clips(report)[:1]]) == 0
    title = capsys.readouterr().out.splitlines()[0]
    assert "method joint, regime scratch, seed 0; plain sum: no decision layer was fitted" in title


def test_a_person_reads_a_table(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = clips(report)[:3]
    found = predicted(capsys, report, *names)  # the report's folder will do
    assert main(["predict", str(report), *names, "--top", "2"]) == 0
    title, header, *lines = capsys.readouterr().out.splitlines()
    assert "allocator category, which weighs the head's contributions, fitted on 6 samples of val" in title
    assert header.split() == ["clip", "class", "p", "visual", "audio", "touch"]
    assert len({len(line) for line in lines}) == 1
    for name, line, known in zip(names, lines, found, strict=True):
        clip, label, p, *rest = line.split()
        assert (clip, label, float(p)) == (
            name,
            known["class"],
            pytest.approx(known["probability"], abs=6e-4),
        )
        assert [float(share.rstrip("%")) for share in rest[:3]] == pytest.approx(
            [100 * share for share in known["shares"].values()], abs=0.51
        )
        assert rest[3:] == ["then", *next(iter([list(known["probabilities"])[1:]])), rest[-1]]


def test_adapting_leaves_clips_like_validation_alone_and_says_so(
    report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = clips(report)
    plain, adapted = predicted(capsys, report, *names), predicted(capsys, report, *names, "--adapt")
    for line, other in zip(plain, adapted, strict=True):
        assert "samples show no modality that is worse" in other.pop("adaptation")["refusal"]
        assert line == other
    assert main(["predict", str(report), *names, "--adapt"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("not adapted: agreement and features of")


def test_adapting_to_a_broken_sensor_is_told_and_changes_the_answers(
    report: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Validation is six clips, from which no typical features are learned: they are put into the saved model."""
    model = shutil.copytree(report / "model", tmp_path / "model")
    weights = load_file(model / "model.safetensors")
    start = "decision.adaptation.features.touch."
    weights[start + "axes"] = torch.eye(4)
    weights[start + "usual"] = torch.tensor([0.0, 0.2, 0.0, 0.2, 0.3, 5.0])
    save_file(weights, model / "model.safetensors")
    np.savez("stuck.npz", touch=np.full((1, 3), 1e3))
    names = [name.rpartition(",")[0] + ",touch=stuck.npz#touch[0]" for name in clips(report)]
    capsys.readouterr()
    lines = predicted(capsys, model, names[0], "gone.mp4", *names[1:], "--adapt", code=2)
    bad, *good = lines
    assert bad["clip"] == "gone.mp4"  # what cannot be read comes first
    assert [line["clip"] for line in good] == names
    adaptation = good[0]["adaptation"]
    assert adaptation["clips"] == len(names)
    assert adaptation["refusal"] is None
    assert adaptation["modalities"]["touch"]["factor"] < 0.95  # a weak model: it never said much
    assert adaptation["modalities"]["touch"]["broken"] > 0.5
    plain = predicted(capsys, model, *names)
    assert all(
        line["probabilities"] != other["probabilities"] for line, other in zip(plain, good, strict=True)
    )
    assert main(["predict", str(model), *names, "--adapt"]) == 0
    _, first, *rows = capsys.readouterr().out.splitlines()
    assert first == f"adapted to {len(names)} clips:"
    assert rows[2].startswith(
        f"  touch counts {adaptation['modalities']['touch']['factor']:.2f} times as much"
    )
    assert rows[3].split()[0] == "clip"


def test_a_group_is_remembered_over_calls(
    report: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Two calls know as many clips as one; a call without a clip, or without an answer, remembers nothing."""
    file, names = tmp_path / "new" / "room.json", clips(report)
    remembering = (report, "--adapt-state", file)
    assert predicted(capsys, *remembering, "gone.mp4", code=2)
    assert not file.exists()
    counts = []
    for part in (names[:2], names[2:]):
        counts.append(predicted(capsys, *remembering, *part)[0]["adaptation"]["clips"])
    assert counts == [2, len(names)]
    (line,) = predicted(capsys, *remembering, names[0], "--forgetting", "0.5")
    assert line["adaptation"]["clips"] == len(names) / 2 + 1
    before = file.read_bytes()
    file.write_bytes(before.replace(b"0.", b"1.", 1))
    assert main(["predict", *map(str, remembering), names[0]]) == DataError.exit_code
    output = capsys.readouterr()
    (line,) = output.err.splitlines()
    assert line.startswith(f"ambidex: {file}: is damaged")
    assert not output.out
    assert main(["predict", str(report), names[0], "--forgetting", "0.5"]) == ParamsError.exit_code
    assert "needs their --adapt-state FILE" in capsys.readouterr().err


def test_a_model_without_what_adapting_needs_costs_one_line(
    report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = report.parents[1] / "models/joint-scratch-0"
    assert main(["predict", str(model), *clips(report)[:1], "--adapt"]) == ModelError.exit_code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("holds nothing to adapt with; evaluate it again: ambidex evaluate --save")


def test_a_model_whose_numbers_for_adapting_are_damaged_costs_one_line(
    report: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = shutil.copytree(report / "model", tmp_path / "model")
    weights = load_file(model / "model.safetensors")
    weights["decision.adaptation.shares"] *= -1
    save_file(weights, model / "model.safetensors")
    assert main(["predict", str(model), *clips(report)[:1], "--adapt"]) == ModelError.exit_code
    (line,) = capsys.readouterr().err.splitlines()
    assert "safetensors: decision.adaptation.shares: expected numbers above 0 that add up to 1; " in line
    assert main(["predict", str(model), *clips(report)[:1]]) == 0  # without it nothing is missing


@pytest.fixture(scope="module")
def media_project(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without the vectors."""
    root = tmp_path_factory.mktemp("media") / "two"
    shutil.copytree(project / "runs/manifest", root / "runs/manifest")
    raw = yaml.safe_load((project / "params.yaml").read_text())
    for section in (raw["extract"]["modalities"], raw["model"]["encoders"]):
        del section["touch"]
    raw["train"]["epochs"] = 1
    (root / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    assert ambidex(root, "extract") == ambidex(root, "train") == 0
    return root


@pytest.fixture
def two(media_project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model of sound and pictures alone; relative paths of clips are those of the manifest."""
    monkeypatch.chdir(media_project / "runs/manifest")
    return media_project / "runs/models/joint-scratch-0"


def test_one_bad_clip_costs_one_line_and_the_others_are_predicted(
    two: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("cut.mp4").write_bytes(Path("1.mp4").read_bytes()[:1500])
    Path("text.mp4").write_text("not a clip")
    write_clip(Path("silent.mp4"), 0.3, size=(32, 32), audio=False)
    capsys.readouterr()
    bad = ["cut.mp4", "none.mp4", "silent.mp4", "text.mp4", "visual=0.png,audio=gone.wav"]
    named = ["1.mp4", *bad, "audio=0.wav", "visual=0.png,audio=0.wav", "2.mp4"]
    assert main(["predict", str(two), *named]) == 2
    out, error = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()[2:]] == [
        "1.mp4",
        "audio=0.wav",
        "visual=0.png,audio=0.wav",
        "2.mp4",
    ]
    *lines, lacking = error.splitlines()
    assert lacking == (  # of those that were predicted
        "ambidex: 1 of 4 clips predicted without visual; the model was trained on samples that have all modalities"
    )
    reasons = dict(line.removeprefix("ambidex: ").split(": ", 1) for line in lines)
    assert set(reasons) == set(bad)
    assert reasons["cut.mp4"].startswith("truncated")
    assert reasons["none.mp4"] == "file is missing"
    assert reasons["silent.mp4"] == "has no audio stream"
    assert reasons["text.mp4"] == "not a media file"
    assert reasons["visual=0.png,audio=gone.wav"] == "gone.wav: file is missing"
    found = predicted(capsys, two, *named, code=2)
    assert {line["clip"]: line.get("error") for line in found} == {name: reasons.get(name) for name in named}


def test_a_clip_that_is_not_predicted_is_predicted_without_nothing(
    two: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["predict", str(two), "audio=gone.wav", "visual=0.png,vidual=1.png"]) == 2
    rejected, misspelt = sorted(capsys.readouterr().err.splitlines())
    assert rejected == "ambidex: audio=gone.wav: gone.wav: file is missing"
    assert misspelt.endswith(
        "the model has no modality 'vidual'; did you mean 'visual'? allowed: visual, audio"
    )


def test_many_clips_stay_in_order_whoever_reads_them(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"{k}.mp4" for k in range(COUNT) if k % 3] * 3
    names.insert(20, "none.mp4")
    alone = predicted(capsys, two, *names, code=2)
    assert [line["clip"] for line in alone] == names
    assert predicted(capsys, two, *names, "--workers", "2", code=2) == alone
    by_name = {line["clip"]: line for line in predicted(capsys, two, "1.mp4")}
    assert next(line for line in alone if line["clip"] == "1.mp4")["probability"] == pytest.approx(
        by_name["1.mp4"]["probability"], abs=1e-6
    )


def test_a_bar_appears_where_it_takes_long(
    two: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ambidex.base import progress
    from ambidex.commands import predict

    monkeypatch.setattr(progress, "_LOG_SECONDS", 0.0)
    names = ["1.mp4"] * 40
    assert main(["predict", str(two), *names]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(predict, "_PATIENCE", 0.0)
    assert main(["predict", str(two), *names]) == 0
    assert [line.split()[1] for line in capsys.readouterr().err.splitlines()] == ["16/24", "24/24"]


def altered(model: Path, tmp_path: Path, edit: Any) -> Path:
    """A copy of the model whose description was changed by `edit`."""
    copy = shutil.copytree(model, tmp_path / "altered")
    described = read_json(copy / "model.json")
    edit(described)
    write_json(copy / "model.json", described)
    return copy


def test_an_older_model_is_read_with_its_parameters(
    report: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """model.json says how the store was made; params.yaml, which may have changed since, where it does not."""
    model = altered(report / "model", tmp_path, lambda described: described.pop("extract"))
    assert predicted(capsys, model, *clips(report)) == predicted(capsys, report / "model", *clips(report))
    other = yaml.safe_load((model / "params.yaml").read_text())
    other["extract"]["modalities"]["audio"]["sample_rate"] = 8_100  # the same shape
    shutil.copy(report / "model/model.json", model / "model.json")
    (model / "params.yaml").write_text(yaml.safe_dump(other))
    assert predicted(capsys, model, *clips(report)) == predicted(capsys, report / "model", *clips(report))
    edited = altered(model, tmp_path / "again", lambda described: described.pop("extract"))
    assert predicted(capsys, edited, *clips(report)) != predicted(capsys, report / "model", *clips(report))
    model = edited
    (model / "params.yaml").unlink()
    assert main(["predict", str(model), "1.mp4"]) == 2
    assert "does not say how its inputs are made from media" in capsys.readouterr().err


def test_a_model_from_before_pictures_were_turned_upright_reads_them_as_stored(
    report: Path, tmp_path: Path
) -> None:
    def forget(described: dict[str, Any]) -> None:
        del described["extract"]["modalities"]["visual"]["orientation"]

    architecture = Predictor(report / "model", torch.device("cpu")).model.architecture
    older = altered(report / "model", tmp_path, forget)
    assert wants_of(report / "model", architecture)["visual"].config.orientation == "upright"
    assert wants_of(older, architecture)["visual"].config.orientation == "stored"


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (
            ("audio", "n_mels"),
            20,
            "extract.modalities.audio: does not give the spectrogram that the model takes",
        ),
        (("audio", "n_mels"), "many", "extract.modalities.audio.n_mels: got 'many'"),
        (("touch", "size"), 4, "extract.modalities.touch: does not give the vector"),
        (("visual",), None, "visual"),
    ],
)
def test_a_model_whose_inputs_are_described_wrongly_is_refused(
    report: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    keys: Sequence[str],
    value: Any,
    message: str,
) -> None:
    def edit(described: Any) -> None:
        block = described["extract"]["modalities"]
        for key in keys[:-1]:
            block = block[key]
        block[keys[-1]] = value

    assert main(["predict", str(altered(report / "model", tmp_path, edit)), "1.mp4"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_folder_without_a_model_is_refused_with_a_hint(
    report: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report.html").touch()
    for folder, hint in (
        (tmp_path, "ambidex evaluate --save"),
        (tmp_path / "none", "expected a model's folder"),
    ):
        assert main(["predict", str(folder), "1.mp4"]) == 2
        error = capsys.readouterr().err
        assert f"{folder}: holds no model.json; " in error
        assert hint in error


def test_a_model_that_says_nothing_finite_fails_its_clips(
    report: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = shutil.copytree(report / "model", tmp_path / "model")
    weights = load_file(model / "model.safetensors")
    weights["decision.allocator.factor"][:] = torch.nan
    save_file(weights, model / "model.safetensors")
    (line,) = predicted(capsys, model, clips(report)[0], code=2)
    assert line["error"] == "the model says nothing finite about it"


WANTS = {"audio": LogMel.of(), "visual": Frames.of()}
MIXED = {**WANTS, "touch": Vector.of()}


def test_a_clip_is_named_by_one_file_or_by_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert clip_cells("a.mp4", WANTS) == {"audio": "a.mp4", "visual": "a.mp4"}
    assert clip_cells("visual=b,1.png,audio=a=1.wav", WANTS) == {"visual": "b,1.png", "audio": "a=1.wav"}
    assert clip_cells("t.npz#t[3]", {"touch": MIXED["touch"]}) == {"touch": "t.npz#t[3]"}
    assert clip_cells("audio=a.wav", WANTS) == {"audio": "a.wav"}  # a sample without the other
    monkeypatch.chdir(tmp_path)
    Path("take=1.mp4").touch()
    assert clip_cells("take=1.mp4", WANTS)["audio"] == "take=1.mp4"
    for file, cell in (("a,take=1.wav", "a,take=1.wav"), ("a,take=1.npy", "a,take=1.npy[3]")):
        Path(file).touch()
        assert clip_cells(f"visual=b.png,audio={cell}", WANTS) == {"visual": "b.png", "audio": cell}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vidual=b.png,audio=a.wav", "the model has no modality 'vidual'; did you mean 'visual'"),
        ("visual=b.png,adio=a.wav", "the model has no modality 'adio'; did you mean 'audio'"),
        ("visual=b.npy[0],adio=a.npy[0]", "the model has no modality 'adio'; did you mean 'audio'"),
        (f"visual=b.png,adio={'a' * 300}.wav", "the model has no modality 'adio'; did you mean 'audio'"),
        ("audio=a.wav,visual=", "'visual=' names no file"),
        ("audio=a.wav,audio=b.wav,visual=c.png", "'audio' is named twice"),
    ],
)
def test_a_clip_named_wrongly_is_one_line(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        clip_cells(text, WANTS)


def test_a_model_whose_encoders_exchange_needs_every_modality() -> None:
    """Said before any clip is read; a clip whose name makes no sense is not the reason."""
    model: Any = SimpleNamespace(folder="greedy", model=SimpleNamespace(exchange="mmtm"))
    with pytest.raises(ModelError, match=r"^greedy: its encoders exchange, so that every clip needs visual$"):
        _check_named(model, WANTS, ["a.mp4", "adio=a.wav", "audio=a.wav"])
    _check_named(model, WANTS, ["a.mp4", "adio=a.wav"])
    model.model.exchange = None
    _check_named(model, WANTS, ["audio=a.wav"])


def test_a_vector_cannot_come_from_a_clip() -> None:
    with pytest.raises(
        DataError, match="'touch' is a vector, not media; name a file for each: audio=FILE,visual"
    ):
        clip_cells("a.mp4", MIXED)


def test_shares_by_hand() -> None:
    """Class 2 leads class 0 by 3 - 1; the modalities argue 4 - 1 and -1 - 0 for it: 3 / 2 and -1 / 2."""
    parts = torch.tensor([[[1.0, -2.0, 4.0], [0.0, 1.0, -1.0]]])
    logits = parts.sum(dim=1)
    assert margin_shares(logits, parts).tolist() == [[1.5, -0.5]]
    shifted = parts + torch.tensor([5.0, -3.0])[None, :, None]  # a constant says nothing about classes
    assert margin_shares(shifted.sum(dim=1), shifted).tolist() == [[1.5, -0.5]]


def test_a_tie_and_a_single_class_have_no_shares() -> None:
    tied = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    assert margin_shares(tied.sum(dim=1), tied).isnan().all()
    alone = torch.ones(1, 2, 1)
    assert margin_shares(alone.sum(dim=1), alone).isnan().all()


@pytest.mark.parametrize("setting", ["model.fusion={name: gated}", "train.method=mla"])
def test_a_head_that_does_not_split_gives_shares_once_it_is_saved_with_a_decision_layer(
    project: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
) -> None:
    monkeypatch.chdir(project / "runs/manifest")
    settings, model = ["--set", setting], str(tmp_path / "model")
    assert ambidex(project, "train", *settings, "--out", model) == 0
    report = tmp_path / "report"
    arguments = [*settings, "--model", model, "--allocator", "uniform", "--save", "--out", str(report)]
    assert ambidex(project, "evaluate", *arguments) == 0
    names = clips(project / "runs/reports/x")
    plain, decided = (
        predicted(capsys, tmp_path / "model", *names),
        predicted(capsys, report / "model", *names),
    )
    assert {line["shares"] for line in plain} == {None}
    for before, after in zip(plain, decided, strict=True):
        assert after["probabilities"] == pytest.approx(before["probabilities"], abs=1e-5)
        assert sum(after["shares"].values()) == pytest.approx(1)
    assert main(["predict", str(tmp_path / "model"), names[0]]) == 0
    out = capsys.readouterr().out
    assert "the head as it was trained, which gives no shares" in out
    assert out.splitlines()[-1].split()[-3:] == ["-", "-", "-"]


def test_from_python(report: Path) -> None:
    predictor = Predictor(report)
    touch, audio = np.zeros(3, np.float32), np.zeros((16, 19), np.float32)
    visual = np.zeros((2, 3, 16, 16), np.uint8)
    (said,) = predictor([{"touch": touch, "audio": audio, "visual": visual}])
    assert said is not None
    assert said.label in CLASSES
    assert sum(said.probabilities.values()) == pytest.approx(1)
