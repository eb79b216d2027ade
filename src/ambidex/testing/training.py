"""What a method must satisfy in plain training: neutral, active, finite, every loss term in use, order, refusals."""

import csv
from pathlib import Path

import torch
from torch import Tensor

from ambidex.base.errors import ModelError
from ambidex.learn.engine import Engine
from ambidex.learn.method import METHODS, Method, Step
from ambidex.testing.expect import Options, class_of, expect, expect_close, expect_same, replaced, subject
from ambidex.testing.ground import build, engine, in_order, make_method

TWO = ("audio", "visual")
THREE = ("audio", "visual", "touch")
Given = str | type[Method]
"""a method by its name or its class"""


def state(trained: Engine) -> dict[str, Tensor]:
    """All that training changes: weights, buffers, and torch's random state."""
    return trained.model.state_dict() | {"random state": torch.get_rng_state()}


def most(method: Given) -> tuple[str, ...]:
    """Three modalities, or two where the method takes no more."""
    return TWO if class_of(method).needs.max_modalities == 2 else THREE


def neutral(method: Given, options: Options, folder: Path) -> None:
    """With options that switch it off it is joint training, bit for bit, the random state included."""
    epochs = 2 + class_of(method).acts_from
    reference = engine(folder / "joint", epochs=epochs)
    reference.fit()
    expected = state(reference)
    trained = engine(folder / "neutral", method, options, epochs=epochs)
    trained.fit()
    steps = trained.state.number
    expect(steps >= 3, subject(method, options), "3 optimiser steps or more", steps)
    expect_same(f"{subject(method, options)}, neutral, against joint training", state(trained), expected)


def active(method: Given, options: Options, folder: Path) -> None:
    """It starts from the weights of joint training, and ends with others."""
    what = subject(method, options)
    epochs = 2 + class_of(method).acts_from
    reference = engine(folder / "joint", epochs=epochs, selection="last")
    trained = engine(folder / "active", method, options, epochs=epochs, selection="last")
    initial = {k: v.clone() for k, v in reference.model.state_dict().items()}
    shared = [key for key in initial if key in trained.model.state_dict()]  # the head may be another one
    missing = {k for k in initial if not k.startswith("fusion.")} - {*shared}
    expect(not missing, f"{what}, its model", "the encoders of joint training", f"none of {sorted(missing)}")
    started = trained.model.state_dict()
    expect_same(f"{what}, before training", started, {key: initial[key] for key in shared})
    reference.fit()
    trained.fit()
    expected, actual = reference.model.state_dict(), trained.model.state_dict()
    differs = not all(torch.equal(actual[key], expected[key]) for key in shared)
    expect(differs, f"{what}, active", "other weights than joint training's", "the same, bit for bit")


def untrained(method: Given, folder: Path) -> None:
    """A method that trains nothing is validated once and leaves the model as it is."""
    what = subject(method, {})
    trainer = engine(folder, method, epochs=4)
    expected = {k: v.clone() for k, v in trainer.model.state_dict().items()}
    expect(trainer.fit()["epoch"] == 0, what, "the first epoch", trainer.state.best["epoch"])
    expect(trainer.state.number == 0, what, "no optimiser step", trainer.state.number)
    expect_same(f"{what}, which trains nothing", trainer.model.state_dict(), expected)
    rows = list(csv.DictReader((folder / "history.csv").open()))
    expect(len(rows) == 1, f"{what}, history.csv", "one row", len(rows))
    accuracy = float(rows[0]["val/accuracy/fused"])
    expect(0 <= accuracy <= 1, f"{what}, val/accuracy/fused", "0 to 1", accuracy)


def loss_terms(method: Given, options: Options, folder: Path) -> None:
    """Every named loss term has a gradient for some parameter."""
    trained = engine(folder, method, options, epochs=1)
    reaches: dict[str, bool] = {}
    original = trained.method.objective

    def watched(step: Step) -> dict[str, Tensor]:
        terms = original(step)
        parameters = [p for p in trained.model.parameters() if p.requires_grad]
        for term, value in terms.items():
            gradients = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
            reaches[term] = any(g is not None and bool(g.abs().sum() > 0) for g in gradients)
        return terms

    replaced(trained.method, objective=watched)
    trained.fit()
    what = subject(method, options)
    expect(bool(reaches), f"{what}, objective", "a loss term", "none")
    for term, reached in reaches.items():
        expect(reached, f"{what}, loss term '{term}'", "a gradient for some parameter", "none")


def finite(method: Given, options: Options, modalities: tuple[str, ...], folder: Path) -> None:
    """Five epochs leave finite weights; with more modalities than it takes, it refuses by name."""
    trained = engine(folder, method, options, modalities, epochs=5)
    what, cls = f"{subject(method, options)}, {len(modalities)} modalities", class_of(method)
    if not cls.needs.takes(len(modalities)):
        expect_refusal(trained, what, METHODS.name_of(cls))
        return
    trained.fit()
    for key, value in trained.model.state_dict().items():
        expect(bool(torch.isfinite(value).all()), f"{what}, {key}", "finite numbers", "NaN or infinity")


def order(method: Given, options: Options, folder: Path) -> None:
    """Permuting the modalities permutes the result, to rounding. Give options without draws in their order."""
    modalities = most(method)
    swapped = modalities[::-1]
    # without batch norm: it carries rounding on, until a unit at zero switches and the two part
    model = build(make_method(method, options), modalities, plain=True)
    epochs = 1 + class_of(method).acts_from
    first = engine(folder / "a", method, options, modalities, model=model, epochs=epochs)
    model = build(make_method(method, options), swapped, plain=True)
    model.load_state_dict(in_order(first.model, swapped))
    second = engine(folder / "b", method, options, swapped, model=model, epochs=epochs)
    first.fit()
    second.fit()
    what = f"{subject(method, options)}, modalities in another order"
    for modality in modalities:
        for a, b in zip(first.model.own(modality), second.model.own(modality), strict=True):
            expect_close(f"{what}, encoder of {modality}", a.detach(), b.detach(), rtol=1e-4, atol=1e-5)


def head(method: Given, options: Options, folder: Path) -> None:
    """A head without contributions is refused in one line, where `needs` says that it needs them."""
    if class_of(method).needs.additive_head:
        trained = engine(folder, method, options, fusion="film")
        name = METHODS.name_of(class_of(method))
        expect_refusal(trained, f"{subject(method, options)}, fusion film", name, "film", "concat")


def expect_refusal(trained: Engine, what: str, *words: str) -> None:
    """Raise CheckError unless training ends with a ModelError of one line with all the words."""
    try:
        trained.fit()
    except ModelError as error:
        text = str(error)
        expect("\n" not in text, what, "a refusal in one line", text)
        for word in words:
            expect(word in text, what, f"a refusal with the word '{word}'", text)
        return
    expect(False, what, "a refusal (ModelError)", "none")
