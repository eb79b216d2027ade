"""A group of clips as one: their features are kept until all are read, then the decision adapts to them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ambidex.base.errors import one_line
from ambidex.decide.adaptation.adapting import Adaptation, AdaptationState
from ambidex.net.encoded import Features, joined
from ambidex.predict.adapt_state import read_state, write_state
from ambidex.predict.prediction import Prediction, Predictor


class Group:
    """Clips that belong together: one speaker, one room, one device."""

    def __init__(self, predictor: Predictor, remembered: Path | None = None, forgetting: float = 1.0) -> None:
        """remembered: file of what earlier calls left of the group; `forgetting` (0 to 1): how much that counts now.

        Raises ModelError where the model was saved without what adapting needs, DataError for a damaged file, or one of
        another model.
        """
        prior = predictor.check_adapts()
        self.predictor = predictor
        self.remembered, self.forgetting = remembered, forgetting
        self.before = None if remembered is None else read_state(remembered, prior, predictor.folder)
        self.after: AdaptationState | None = None
        self.places: list[int] = []
        self.features: list[Features] = []

    def add(self, places: Sequence[int], features: Features) -> None:
        """Some clips, under the places that the caller knows them by."""
        self.places += places
        self.features.append(features)

    def predict(self) -> tuple[Adaptation | None, list[tuple[int, Prediction | None]]]:
        """What was adapted, and a prediction for each place; None where no clip could be read."""
        if not self.features:
            return None, []
        features = joined(self.features)
        adaptation = self.predictor.adapt(features, self.before, self.forgetting)
        self.after = adaptation.state
        return adaptation, [*zip(self.places, self.predictor.decide(features, adaptation), strict=True)]

    def remember(self) -> None:
        """Write what the next call goes on from, where a file was named and a clip could be read."""
        if self.remembered is not None and self.after is not None:
            write_state(self.remembered, self.after, self.predictor.folder)


def adaptation_lines(adaptation: Adaptation, modalities: Sequence[str]) -> Iterator[str]:
    """In words: what moved and by how much, or why nothing did."""
    if adaptation.refusal:
        yield f"not adapted: {adaptation.refusal}"
        return
    yield f"adapted to {adaptation.samples:.0f} clip{'s' * (round(adaptation.samples) != 1)}:"
    for m, values in _by_modality(adaptation, modalities).items():
        yield (
            f"  {one_line(m)} counts {values['factor']:.2f} times as much: says nothing about the class in "
            f"{values['uninformative']:.0%} of them (validation {values['usually']:.0%}); "
            f"estimated accuracy alone {values['accuracy']:.0%}"
        )
    if len(modalities) == 2:
        yield "  with two modalities disagreement does not say which is worse: features and validation do"


def adaptation_json(adaptation: Adaptation, modalities: Sequence[str]) -> dict[str, Any]:
    """As JSON-serialisable values."""
    return {
        "clips": adaptation.samples,
        "refusal": adaptation.refusal,
        "modalities": _by_modality(adaptation, modalities),
    }


def _by_modality(adaptation: Adaptation, modalities: Sequence[str]) -> dict[str, dict[str, float]]:
    columns = (
        *(adaptation.factor.double().tolist(), adaptation.lapse.tolist(), adaptation.usual.tolist()),
        *(adaptation.broken.tolist(), adaptation.accuracy.tolist()),
    )
    names = ("factor", "uninformative", "usually", "broken", "accuracy")
    rows = zip(*columns, strict=True)
    return {m: dict(zip(names, row, strict=True)) for m, row in zip(modalities, rows, strict=True)}
