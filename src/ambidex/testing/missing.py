"""A method that takes samples which lack modalities (`needs.missing`): what stands in their place never counts."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ambidex.learn.engine import Engine
from ambidex.net.model import MultimodalNet
from ambidex.testing.expect import Options, class_of, expect, expect_same, subject
from ambidex.testing.ground import build, engine, make_method
from ambidex.testing.training import Given, most, state

SPOILT = 201
"""what stands for NaN where samples are bytes"""


def all_present(method: Given, options: Options, folder: Path) -> None:
    """On samples that could lack modalities and lack none it trains as on others, bit for bit."""
    expected = trained(method, options, folder / "plain", lacking=None)
    actual = trained(method, options, folder / "whole", lacking=False)
    expect_same(f"{subject(method, options)}, nothing is missing", state(actual), state(expected))


def absent_content(method: Given, options: Options, folder: Path) -> None:
    """Whatever stands in the store for an absent modality, the weights are the same, bit for bit, and finite."""
    what = f"{subject(method, options)}, NaN for what is missing"
    expected = state(trained(method, options, folder / "as it is"))
    for name, value in expected.items():
        expect(
            bool(value.isfinite().all()), f"{subject(method, options)}, {name}", "finite numbers", "others"
        )
    expect_same(what, state(trained(method, options, folder / "spoilt", content=torch.nan)), expected)


def trained(
    method: Given,
    options: Options,
    folder: Path,
    lacking: bool | None = True,
    content: float | None = None,
    **optimisation: Any,
) -> Engine:
    """An engine that has trained on the memory store. `lacking`: some samples lack a modality; False: none does, and
    the store says so; None: it says nothing. `content` stands in the store where a modality is absent."""
    trainer = prepared(method, options, folder, lacking, content, **optimisation)
    trainer.fit()
    return trainer


def prepared(
    method: Given,
    options: Options,
    folder: Path,
    lacking: bool | None = True,
    content: float | None = None,
    **optimisation: Any,
) -> Engine:
    """The same before `fit`."""
    modalities = most(method)
    model = build(make_method(method, options), modalities, plain=True)
    if lacking is not None:
        torch.manual_seed(0)
        model = MultimodalNet(replace(model.architecture, fill="zero"))
    settings: dict[str, Any] = {"epochs": 2 + class_of(method).acts_from, "selection": "last"} | optimisation
    trainer = engine(folder, method, options, modalities, model=model, **settings)
    store: Any = trainer.batches.store
    for place, modality in enumerate(modalities if lacking is not None else ()):
        store.present[modality] = present_of(len(store.labels), place if lacking else None)
        if content is not None:
            x = store.data[modality]
            x[~store.present[modality]] = content if x.is_floating_point() else SPOILT
    return trainer


def present_of(samples: int, place: int | None) -> Tensor:
    """Which of the samples [N] have the modality at `place`: every sample has one of three; None: all have it."""
    rows = torch.arange(samples)
    return rows >= 0 if place is None else rows % (3 + place) != place
