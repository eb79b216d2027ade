"""What pretrain and train share: building a model for a store, and running the engine in a resumable folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ambidex.base.errors import DataError, ModelError, TrainingError
from ambidex.base.files import digest
from ambidex.base.outputs import Origin, Progress, finish, settle, storage_explained, sweep, workplace
from ambidex.base.progress import say_once
from ambidex.base.records import running_code
from ambidex.base.torchrun import first_rank
from ambidex.configuration.optimisation import Optimisation
from ambidex.configuration.options import choice_config
from ambidex.configuration.params import Params
from ambidex.configuration.values import Choice
from ambidex.data.kinds import InputSpec
from ambidex.data.store.reading import FeatureStore
from ambidex.learn.engine import Engine
from ambidex.learn.log import LOGGERS
from ambidex.learn.loop.batches import Batches, derived_seed
from ambidex.learn.loop.checkpoint import CHECKPOINT_FILE, load_checkpoint, read_checkpoint
from ambidex.learn.loop.remarks import never_warm, remark
from ambidex.learn.loop.selection import BEST_FILE
from ambidex.learn.method import METHODS, Method
from ambidex.learn.runtime import make_fabric
from ambidex.net.encoders import ENCODERS
from ambidex.net.fusion.concat import Concat
from ambidex.net.model import MISSING, Architecture, MultimodalNet, save_model
from ambidex.resolve.run_card import write_records

_OF_THE_DATA = ("modalities", "inputs", "classes")
"""what an architecture takes from the feature store"""


def architecture_for(
    store: FeatureStore, params: Params, modalities: Sequence[str], fusion: Choice
) -> Architecture:
    """The architecture that `params` asks for, for inputs as `store` holds them.

    Raises DataError where the store lacks a modality.
    """
    inputs: dict[str, InputSpec] = {}
    for name in modalities:
        if name not in store.inputs:
            raise DataError(f"feature store: has no modality '{name}', only {', '.join(store.modalities)}")
        inputs[name] = store.inputs[name]
    encoders = {name: _recorded(params.model.encoders[name], name) for name in modalities}
    fill = params.model.fill if any(name in store.present for name in modalities) else None
    return Architecture(inputs, encoders, fusion, tuple(store.classes), fill=fill)


def _recorded(choice: Choice, modality: str) -> Choice:
    """The encoder of `modality` with what a saved model keeps of it beside its options."""
    config = choice_config(ENCODERS, choice, f"model.encoders.{modality}")
    more = ENCODERS.get(choice.name).recorded(config)
    return Choice.model_validate(choice.model_dump() | more) if more else choice


def build_model(architecture: Architecture, seed: int) -> MultimodalNet:
    """A freshly initialised model: the same seed gives the same encoders, whatever the method."""
    torch.manual_seed(derived_seed("init", seed))
    model = MultimodalNet(architecture)
    for name in model.modalities:
        model.encoder(name).load_published()
    return model


def run_engine(
    model: MultimodalNet,
    method: Method,
    params: Params,
    section: Optimisation,
    store: FeatureStore,
    output: Path,
    *,
    seed: int,
    frozen: bool = False,
    options: Any = None,
    starts: Mapping[str, str] | None = None,
) -> tuple[Path, dict[str, Any], Any]:
    """Train in the folder that grows beside `output` or in `runtime.checkpoints`; a rerun goes on from its checkpoint.

    `options`: the method's name and parameters; `starts`: digests of the weights that it starts from, by modality.
    Returns the folder, the selected epoch, and the fabric.
    """
    split = _selection_split(section, store, output.name)
    for choice in params.runtime.loggers:
        LOGGERS.get(choice.name).check()
    fabric = make_fabric(params.runtime, section.precision)
    augment = {name: value for name, value in params.augment.items() if name in model.modalities}
    batches = Batches(
        store, model.modalities, augment, seed, fabric.device, fabric.global_rank, fabric.world_size
    )
    shape, stage = model.architecture.to_json(), type(section).__name__.lower()
    choices = {
        stage: section.model_dump(mode="json"),
        "methods": options,
        "model": {key: value for key, value in shape.items() if key not in _OF_THE_DATA},
        "augment": {name: value.model_dump(mode="json") for name, value in augment.items()},
        "frozen": frozen,
        "runtime": {"devices": fabric.world_size},
    }
    origin = Origin(stage, choices, _data(store, shape, starts or {}), running_code())
    folder = workplace(output, params.runtime.checkpoints, origin.key)
    if fabric.is_global_zero:
        settle(folder, origin, Progress(_begun, _words))
        sweep(folder)
    fabric.barrier()
    arguments = (model, method, section, batches, fabric, folder, origin.key, frozen, split)
    engine = Engine(
        *arguments,
        checkpoint_minutes=params.runtime.checkpoint_minutes,
        loggers=params.runtime.loggers,
        facts=_facts(method, section, model),
    )
    with storage_explained(lambda: _saved(folder, origin.key)):
        return folder, engine.fit() | {"remark": _remark_of(engine)}, fabric


def _remark_of(engine: Engine) -> str | None:
    """What there is to say of a training that is over."""
    if not engine.method.trains:
        return None
    classes = len(engine.model.architecture.classes)
    line = never_warm(engine.state.number, engine.schedule.warmup)
    return line or remark(engine.state.history, classes, engine.params.label_smoothing)


def _data(store: FeatureStore, shape: Mapping[str, Any], starts: Mapping[str, str]) -> dict[str, str]:
    """Digests of the data that a training starts from."""
    return {
        "features": store.fingerprint,
        "inputs": digest({key: shape[key] for key in _OF_THE_DATA}),
        **{f"encoder of {name}": weights for name, weights in starts.items()},
    }


def _begun(folder: Path) -> bool:
    return (folder / CHECKPOINT_FILE).exists()


def _words(folder: Path) -> str:
    """How far the work in a folder is."""
    try:
        return f"a checkpoint after {_place(read_checkpoint(folder))}"
    except TrainingError:
        return "a checkpoint that cannot be read"


def _facts(method: Method, section: Optimisation, model: MultimodalNet) -> dict[str, Any]:
    """What loggers may say of the run, by dotted name."""
    name = METHODS.name_of(type(method))
    blocks = {
        f"methods.{name}": method.config.model_dump(mode="json"),
        "train": section.model_dump(mode="json"),
    }
    facts = {f"{block}.{key}": value for block, values in blocks.items() for key, value in values.items()}
    encoders = {f"model.encoders.{m}": choice.name for m, choice in model.architecture.encoders.items()}
    return {**facts, "train.method": name, **encoders, "model.fusion": model.architecture.fusion.name}


def _saved(folder: Path, fingerprint: str) -> str:
    """Which checkpoint is there to go on from, in words."""
    try:
        state = load_checkpoint(folder, fingerprint)
    except TrainingError:
        state = None
    if state is None:
        return "no checkpoint was written yet; mend this and give the command again"
    return f"the last checkpoint, after {_place(state)}, stands in {folder}; mend this, and a rerun goes on from it"


def _place(state: Mapping[str, Any]) -> str:
    """The last step that a checkpoint holds."""
    epoch = state["epoch"]  # epochs that are whole
    return f"step {state['number']} of epoch {epoch + 1}" if state["done"] else f"epoch {epoch}"


def _selection_split(section: Optimisation, store: FeatureStore, name: str) -> str | None:
    """Where the epoch is chosen; None where the last one is kept and there is no validation split."""
    split = "test" if section.selection == "oracle" else "val"
    for needed in ("train", split):
        if len(store.rows(needed)):
            continue
        if needed == "val" and section.selection == "last":
            return None
        key = f"{type(section).__name__.lower()}.selection"
        hint = f" with {key}: {section.selection}; keep the last epoch: --set {key}=last"
        raise DataError(
            f"feature store: split '{needed}' has no sample; {name} cannot be trained on it"
            + (hint if needed == "val" else "")
        )
    return split


def remarked(selected: Mapping[str, Any], name: str) -> dict[str, str]:
    """What the engine remarks of a finished training, as a line on stderr and for the records; often nothing."""
    if not selected["remark"]:
        return {}
    if first_rank():
        say_once(f"{name}: {selected['remark']}")
    return {"remark": selected["remark"]}


def deliver(
    folder: Path,
    output: Path,
    stage: str,
    params: Params,
    model: MultimodalNet,
    store: FeatureStore,
    metrics: dict[str, Any],
    **facts: Any,
) -> None:
    """Write model and records into the unfinished `folder`, drop the checkpoint, and give it its final name.

    Of several processes that trained together the first one does.
    """
    if not first_rank():
        return
    extract = store.info.get("extract")
    seen = {"features": store.fingerprint, "learning": store.learning}
    save_model(model, folder, **seen, extract=extract, **_missing(model, store))
    protocol = {key: store.info[key] for key in ("protocol", "leaky") if key in store.info}
    write_records(folder, stage, params, metrics, features=store.fingerprint, **protocol, **facts)
    finish(folder, output, leave=(CHECKPOINT_FILE, BEST_FILE))


def _missing(model: MultimodalNet, store: FeatureStore) -> dict[str, dict[str, int]]:
    """What model.json says of a model that allows for absent modalities: how many training samples lack which."""
    if model.architecture.fill is None:
        return {}
    present = store.presence(store.rows("train"))
    return {MISSING: {name: int((~present[name]).sum()) for name in model.modalities if name in present}}


def load_encoder(model: MultimodalNet, modality: str, folder: Path, *, classifier: bool) -> nn.Linear:
    """Copy the encoder of a pretrain output into `model`. Returns the linear head it was trained with.

    Raises ModelError where it was trained for other inputs or is another architecture; with `classifier` also
    where it was trained for other classes.
    """
    from ambidex.net.model import load_model

    trained = load_model(folder)
    if modality not in trained.modalities:
        raise ModelError(f"{folder}: holds an encoder of {', '.join(trained.modalities)}, not of {modality}")
    ours, theirs = model.architecture, trained.architecture
    for what, actual, expected in (
        ("encoder", theirs.encoders[modality], ours.encoders[modality]),
        ("input", theirs.inputs[modality], ours.inputs[modality]),
        ("classifier", theirs.classes, ours.classes if classifier else theirs.classes),
    ):
        if actual != expected:
            raise ModelError(
                f"{folder}: {what} of {modality} is {actual}, the model needs {expected}; run pretrain again"
                + (", or train a new head: --set train.head=new" if what == "classifier" else "")
            )
    model.encoder(modality).load_state_dict(trained.encoder(modality).state_dict())
    assert isinstance(trained.fusion, Concat)
    return trained.fusion.linear
