"""Mistakes in params.yaml: each costs one line that names the key, the value and what is allowed."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ambidex.base.errors import ParamsError
from ambidex.configuration.params import Params
from ambidex.learn.method import METHODS
from ambidex.resolve import load_params, parse_params
from ambidex.resolve.cell import resolve

ROOT = Path(__file__).resolve().parents[2]
SMALL = {
    "prepare": {"dataset": "manifest", "source": "some.csv"},
    "extract": {
        "modalities": {"audio": {"kind": "log_mel", "n_mels": 32}, "visual": {"kind": "frames", "count": 2}}
    },
    "augment": {"visual": {"kind": "frames"}},
    "model": {"encoders": {"audio": {"name": "small_cnn"}, "visual": {"name": "small_cnn"}}},
    "methods": {"joint": {}, "ogm_ge": {}},
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(SMALL))
    return path


def complaint(path: Path, *overrides: str) -> str:
    with pytest.raises(ParamsError) as caught:
        load_params(path, overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_setting_a_key_of_an_aliased_section_leaves_the_other_alone(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(SMALL) + "pretrain: &loop {epochs: 7}\ntrain: *loop\n")
    params = load_params(path, ["train.epochs=3"])
    assert (params.pretrain.epochs, params.train.epochs) == (7, 3)


def test_shipped_parameters_are_valid() -> None:
    params = load_params(ROOT / "params.yaml")
    assert params.modalities == ("audio", "visual")
    assert parse_params(params.model_dump(mode="json")) == params


def test_overrides_replace_values_and_are_read_as_yaml(file: Path) -> None:
    params = load_params(
        file, ["train.epochs=3", "study.seeds=[4, 5]", "train.learning_rate=1e-2", "train.precision=32"]
    )
    assert (params.train.epochs, params.study.seeds) == (3, [4, 5])
    assert params.train.learning_rate == 0.01
    assert params.train.precision == "32"
    assert params.pretrain.epochs == Params.model_fields["pretrain"].default.epochs


def test_the_last_override_wins(file: Path) -> None:
    assert load_params(file, ["train.epochs=3", "train.epochs=4"]).train.epochs == 4


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        # unknown keys, in every kind of section
        ("trian.epochs=3", "trian: unknown key; did you mean 'train'?"),
        ("prepare.sed=1", "prepare.sed: unknown key; did you mean 'seed'?"),
        ("extract.shard=1", "extract.shard: unknown key; did you mean 'shard_size'?"),
        (
            "extract.modalities.audio.n_melz=9",
            "extract.modalities.audio.n_melz: unknown key; did you mean 'n_mels'?",
        ),
        (
            "extract.modalities.visual.cuont=9",
            "extract.modalities.visual.cuont: unknown key; did you mean 'count'?",
        ),
        ("augment.visual.flipp=1", "augment.visual.flipp: unknown key; did you mean 'flip'?"),
        ("model.fussion={name: sum}", "model.fussion: unknown key; did you mean 'fusion'?"),
        ("pretrain.epoch=1", "pretrain.epoch: unknown key; did you mean 'epochs'?"),
        ("train.batchsize=1", "train.batchsize: unknown key; did you mean 'batch_size'?"),
        ("evaluate.alocator=uniform", "evaluate.alocator: unknown key; did you mean 'allocator'?"),
        ("compare.reference=joint", "compare.reference: unknown key; did you mean 'reference_method'?"),
        ("study.seed=[0]", "study.seed: unknown key; did you mean 'seeds'?"),
        ("runtime.device=1", "runtime.device: unknown key; did you mean 'devices'?"),
        # options of plug-ins
        ("model.encoders.audio.widht=8", "model.encoders.audio.widht: unknown key; did you mean 'width'?"),
        ("model.encoders.audio.width=x", "model.encoders.audio.width: got 'x', expected an integer"),
        ("methods.ogm_ge.alpah=1", "methods.ogm_ge.alpah: unknown key; did you mean 'alpha'?"),
        ("methods.ogm_ge.alpha=-1", "methods.ogm_ge.alpha: got -1, expected greater than or equal to 0"),
        ("methods.ogm_ge.ge=maybe", "methods.ogm_ge.ge: got 'maybe', expected true or false"),
        ("methods.ogm_ge.alpha=yes", "methods.ogm_ge.alpha: got true, expected a number"),
        ("methods.joint.train.lr=1", "methods.joint.train.lr: unknown key"),
        # names of plug-ins
        (
            "prepare.dataset=manifesto",
            "prepare.dataset: data set 'manifesto' does not exist; did you mean 'manifest'?",
        ),
        (
            "model.encoders.audio.name=smal_cnn",
            "encoder 'smal_cnn' does not exist; did you mean 'small_cnn'?",
        ),
        ("model.fusion.name=concatenate", "fusion 'concatenate' does not exist; did you mean 'concat'?"),
        ("train.method=ogm", "train.method: method 'ogm' does not exist; did you mean 'ogm_ge'?"),
        ("study.methods=[joint, mmm]", "study.methods: method 'mmm' does not exist; allowed: "),
        ("methods.tuned.use=ogm", "methods.tuned: method 'ogm' does not exist; did you mean 'ogm_ge'?"),
        ("evaluate.allocators=[uniform, modal]", "evaluate.allocators.1: allocator 'modal' does not exist"),
        (
            "evaluate.options.confusoin.folds=3",
            "evaluate.options.confusoin: allocator 'confusoin' does not exist",
        ),
        ("evaluate.options.norm.shrinkage=3", "evaluate.options.norm.shrinkage: unknown key"),
        ("evaluate.allocator=catgory", "evaluate.allocator: allocator 'catgory' does not exist"),
        ("evaluate.diagnostics=[shaply]", "evaluate.diagnostics.0: diagnostic 'shaply' does not exist"),
        # wrong types
        ("train.epochs=abc", "train.epochs: got 'abc', expected an integer"),
        ("train.epochs=2.5", "train.epochs: got 2.5, expected an integer"),
        ("train.epochs=yes", "train.epochs: got true, expected a number"),
        ("train.batch_size=", "train.batch_size: got nothing, expected an integer"),
        ("study.seeds=3", "study.seeds: got 3, expected a list"),
        ("prepare.allow_missing=true", "prepare.allow_missing: got true, expected a list"),
        ("model.fusion=concat", "model.fusion: got 'concat', expected a block of keys and values"),
        ("train=3", "train: got 3, expected a block of keys and values"),
        # out of range, not allowed
        ("train.epochs=0", "train.epochs: got 0, expected greater than or equal to 1"),
        ("train.learning_rate=0", "train.learning_rate: got 0, expected greater than 0"),
        ("augment.visual.flip=1.5", "augment.visual.flip: got 1.5, expected less than or equal to 1"),
        ("study.seeds=[0, -1]", "study.seeds.1: got -1, expected greater than or equal to 0"),
        (
            "train.optimizer=adamm",
            "train.optimizer: got 'adamm'; did you mean 'adam'? allowed: sgd, adam, adamw",
        ),
        ("study.regimes=[frozenn]", "study.regimes.0: got 'frozenn'; did you mean 'frozen'?"),
        ("extract.modalities.audio.kind=log_mell", "audio.kind: got 'log_mell'; did you mean 'log_mel'?"),
        (
            "extract.modalities.touch={size: 3}",
            "extract.modalities.touch.kind: missing; allowed: flow, frames, image, log_mel",
        ),
        ("extract.modalities.Touch={kind: vector}", "expected a name of lower-case letters"),
        ("prepare.val_fraction=0.9", "prepare: val_fraction + test_fraction must stay below 1"),
        # sections that do not fit together
        ("extract.modalities.touch={kind: vector}", "model.encoders.touch: missing"),
        ("augment.touch={kind: vector}", "augment.touch: no such modality; extract.modalities has"),
        ("augment.audio={kind: vector}", "augment.audio.kind: got 'vector', expected 'spectrogram'"),
        # the override itself
        ("train.epochs", "expected key.path=value"),
        (".epochs=1", "expected key.path=value"),
        ("train.epochs.x=1", "'epochs' is"),
        ("train.epochs=[1", "'[1' is not a YAML value"),
    ],
)
def test_a_mistake_costs_one_line(file: Path, override: str, expected: str) -> None:
    file.write_text(yaml.safe_dump({**SMALL, "train": {"epochs": 1}}))
    message = complaint(file, override)
    assert expected in message
    assert message.startswith((f"--set {override}: ", f"{file}: "))


def test_a_mistake_names_the_override_or_the_file(file: Path) -> None:
    assert complaint(file, "train.epochs=0").startswith("--set train.epochs=0: ")
    file.write_text(yaml.safe_dump({**SMALL, "train": {"epochs": 0}}))
    assert complaint(file, "pretrain.epochs=2").startswith(f"{file}: train.epochs: ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train:\n  epochs: 1\n  epochs: 2\n", ":3:3: is not valid YAML (the key 'epochs' stands twice)"),
        ("train: {epochs: [1\n", "is not valid YAML"),
        ("- train\n", "expected sections like 'train:', found list"),
        ("", "expected sections like 'train:', found NoneType"),
        (
            "extract: !!python/object/apply:os.system ['true']\n",
            "is not valid YAML (the tag !!python/object/apply:os.system is not allowed",
        ),
    ],
)
def test_a_file_that_is_not_parameters(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    message = complaint(path)
    assert message.startswith(str(path))
    assert expected in message


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    missing = complaint(tmp_path / "missing.yaml")
    assert "cannot be read (No such file or directory); name one with --params" in missing
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00train")
    assert complaint(binary) == f"{binary}: is not UTF-8 text (byte 0)"


def test_a_missing_section_is_named(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump({"extract": SMALL["extract"]}))
    assert complaint(path) == f"{path}: model: missing"


def test_an_empty_section_means_the_defaults(file: Path) -> None:
    file.write_text(yaml.safe_dump(SMALL) + "runtime:\n")
    assert load_params(file).runtime.devices == 1


def test_a_published_model_of_texts_does_not_read_hashed_words(tmp_path: Path) -> None:
    texts = {"audio": {"kind": "text"}, "visual": {"kind": "text", "tokenizer": "models/minilm"}}
    path = tmp_path / "texts.yaml"
    encoders = {key: {"name": "hf", "folder": "models/minilm"} for key in texts}
    path.write_text(
        yaml.safe_dump(
            {**SMALL, "augment": {}, "extract": {"modalities": texts}, "model": {"encoders": encoders}}
        )
    )
    message = complaint(path)
    assert message.startswith(f"{path}: model.encoders.audio: encoder 'hf': its words are hashed")
    load_params(path, ["extract.modalities.audio.tokenizer=models/minilm"])
    load_params(path, ["model.encoders.audio={name: text_bag}"])


def test_further_mistakes_are_counted(file: Path) -> None:
    assert complaint(file, "train.epochs=0", "train.batch_size=0").endswith("(and 1 more)")


def test_a_modality_may_be_called_like_a_kind(file: Path) -> None:
    raw: dict[str, Any] = {
        "extract": {"modalities": {"frames": {"kind": "frames", "cuont": 2}}},
        "model": {"encoders": {"frames": {"name": "small_cnn"}}},
    }
    file.write_text(yaml.safe_dump(raw))
    assert "extract.modalities.frames.cuont: unknown key" in complaint(file)


def test_a_label_names_its_plugin_and_its_own_training_values(file: Path) -> None:
    tuned = "methods.slow_ogm={use: ogm_ge, alpha: 0.3, train: {learning_rate: 0.01}}"
    params = load_params(file, [tuned, "train.method=slow_ogm"])
    cell = resolve(params)
    assert (cell.label, cell.plugin, cell.config.model_dump(exclude_unset=True)) == (
        "slow_ogm",
        "ogm_ge",
        {"alpha": 0.3},
    )
    assert (cell.train.learning_rate, cell.params.train.method) == (0.01, "slow_ogm")
    assert resolve(params, "joint").train.learning_rate == params.train.learning_rate


NAMED = """
import sys
from pathlib import Path
from ambidex.learn.method import METHODS
from ambidex.resolve import load_params
load_params(Path(sys.argv[1]), sys.argv[2:])
print(*[name for name, module in METHODS.modules().items() if module in sys.modules])
"""


def test_only_methods_that_run_or_have_parameters_are_imported() -> None:
    """The file names them all, most with an empty block."""
    changes = ["study.methods=[joint]", "train.method=multi_task", "methods.agm.alpha=0.5"]
    command = [sys.executable, "-c", NAMED, str(ROOT / "params.yaml"), *changes]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["agm", "joint", "multi_task"]


@pytest.mark.parametrize("name", METHODS.own())
def test_a_method_without_parameters_has_nothing_to_refuse(name: str) -> None:
    """So it need not be looked at where it does not run."""
    assert resolve(parse_params({**SMALL, "methods": {name: {}}}), name).plugin == name


def test_an_empty_block_of_no_method_is_refused() -> None:
    with pytest.raises(ParamsError, match=r"methods\.opmm: method 'opmm' does not exist; did you mean 'opm'"):
        parse_params({**SMALL, "methods": {"opmm": {}}})
