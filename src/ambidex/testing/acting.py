"""On every encoder and in every regime a method differs from joint training, or says in one line why it cannot."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from ambidex.base.errors import ModelError
from ambidex.configuration.values import Choice
from ambidex.learn.engine import Engine
from ambidex.learn.method import METHODS, Step
from ambidex.net.model import MultimodalNet
from ambidex.testing.expect import Options, class_of, expect, expect_same, replaced, subject
from ambidex.testing.ground import ENCODERS as USUAL
from ambidex.testing.ground import SHAPES, architecture, engine, make_method
from ambidex.testing.training import Given

SMALL: dict[str, Options] = {
    "small_cnn": {"width": 2, "dim": 4},
    "resnet18": {"width": 4},
    "mlp": {"hidden": [6], "dim": 4},
    "sequence_cnn": {"width": 4, "blocks": 1, "dim": 8},
    "transformer": {"patch": 8, "dim": 4, "layers": 1, "heads": 1},
}
"""a new encoder is tested as its defaults build it"""
LOOP: Options = {"batch_size": 4, "samples": 12, "selection": "last", "learning_rate": 0.005}
FROZEN = "they are frozen; use "
STAGES = "exchanges between the stages of encoders"
FUSION = "use fusion concat"


def outcome(
    method: Given, options: Options, folder: Path, encoder: str, frozen: bool, fusion: str = "concat"
) -> str:
    """`differs` from joint training, `equal` to it bit for bit, or the line with which it refuses."""
    cls = class_of(method)
    epochs = 2 + cls.acts_from
    trained = _trained(folder, method, cls.early | options, encoder, frozen, fusion, epochs)
    initial = {key: value.clone() for key, value in trained.model.state_dict().items()}
    steps: list[Step] = []
    original = trained.method.step

    def counted(step: Step) -> None:
        steps.append(step)
        original(step)

    replaced(trained.method, step=counted)
    try:
        trained.fit()
    except ModelError as error:
        refusal = str(error)
        return "refused late" if steps or "\n" in refusal else refusal
    weights, expected = trained.model.state_dict(), _joint(encoder, frozen, epochs, fusion)
    same = all(key in weights and torch.equal(weights[key], value) for key, value in expected.items())
    moved = [key for key in weights if key not in expected and not torch.equal(weights[key], initial[key])]
    return "equal" if same and not moved else "differs"  # moved: what it trains beside the joint model


def acts(
    method: Given,
    options: Options,
    folder: Path,
    encoder: str,
    frozen: bool = False,
    fusion: str = "concat",
) -> None:
    """It differs from joint training, or refuses for a good reason: encoders without stages, frozen ones, the head."""
    verdict = outcome(method, options, folder, encoder, frozen, fusion)
    if verdict == "differs":
        return
    regime = "frozen" if frozen else "trained"
    what = f"{subject(method, options)}, encoder {encoder} {regime}, fusion {fusion}"
    name = METHODS.name_of(class_of(method))
    refusal = f"method {name}: "
    expect(
        verdict.startswith(refusal), what, f"other weights than joint training's, or '{refusal}...'", verdict
    )
    other_head = () if fusion == "concat" else (FUSION, "or fusion concat")
    allowed = (STAGES, *([FROZEN] if frozen else []), *other_head)
    expect(any(reason in verdict for reason in allowed), what, f"one of {allowed}", verdict)


def waits(method: Given, options: Options, folder: Path, epochs: int = 2) -> None:
    """With options under which it waits for `epochs`: so long it is joint training, to the bit, and no longer."""
    what = f"{subject(method, options)}, waits"
    delay = make_method(method, options).waits()
    expect(delay == epochs, what, f"{epochs} epochs", delay)
    for length, same in ((epochs, True), (epochs + 1, False)):
        trained = _trained(folder / str(length), method, options, "small_cnn", False, "concat", length)
        trained.fit()
        joint, weights = _joint("small_cnn", False, length), trained.model.state_dict()
        if same:
            expect_same(f"{what}, {length} epochs", joint, weights)
        else:
            differs = not all(
                torch.equal(value, joint[key]) for key, value in weights.items() if key in joint
            )
            differs = differs or not weights.keys() <= joint.keys()
            expect(differs, f"{what}, {length} epochs", "other weights than joint training's", "the same")


@cache
def modalities(encoder: str) -> dict[str, Choice]:
    """Two modalities, and how each is encoded: by `encoder` wherever it can."""
    chosen: dict[str, Choice] = {}
    for name in SHAPES:
        choice = Choice.model_validate({"name": encoder, **SMALL.get(encoder, {})})
        try:
            MultimodalNet(replace(architecture((name,)), encoders={name: choice}))
            chosen[name] = choice
        except ModelError:
            pass
    expect(bool(chosen), f"encoder {encoder}", f"one that takes one of {[*SHAPES]}", "refusals")
    for name in ("audio", "visual"):
        if len(chosen) == 1:
            chosen.setdefault(name, USUAL[name])
    return dict(list(chosen.items())[:2])


def _trained(
    folder: Path, method: Given, options: Options, encoder: str, frozen: bool, fusion: str, epochs: int
) -> Engine:
    choices = modalities(encoder)
    plan = replace(architecture(tuple(choices), fusion), encoders=choices)
    torch.manual_seed(0)
    model = MultimodalNet(make_method(method, options).architecture(plan))
    return engine(folder, method, options, tuple(choices), model=model, frozen=frozen, epochs=epochs, **LOOP)


@cache
def _joint(encoder: str, frozen: bool, epochs: int, fusion: str = "concat") -> dict[str, Tensor]:
    with TemporaryDirectory() as folder:
        trained = _trained(Path(folder), "joint", {}, encoder, frozen, fusion, epochs)
        trained.fit()
    return dict(trained.model.state_dict())
