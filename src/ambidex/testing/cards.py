"""What a method's page is made of: a card of its own, whose facts can be checked."""

from ambidex.base.cards.beside import own
from ambidex.base.cards.card import Card
from ambidex.base.errors import ParamsError
from ambidex.configuration.optimisation import Optimisation
from ambidex.configuration.options import plugin_config
from ambidex.learn.method import METHODS
from ambidex.testing.expect import class_of, expect, subject
from ambidex.testing.training import Given


def card(method: Given) -> None:
    """The class has a docstring and a card of its own; places are named once, deviations are sentences on a line."""
    cls, what = class_of(method), subject(method, {})
    here = "card = Card(...) in its class, or in cards/ beside its file"
    expect(isinstance(own(cls, "card", "cards"), Card), what, here, "none")
    expect(bool(vars(cls)["__doc__"]), what, "a docstring", "none")
    places = cls.card.intervenes
    expect(len(set(places)) == len(places), f"{what}, card.intervenes", "each place once", places)
    for line in cls.card.deviations:
        good = "\n" not in line and line.endswith(".")
        expect(good, f"{what}, card.deviations", "sentences, each on one line", line)


def cost(method: Given) -> None:
    """Passes are counted for any number of modalities."""
    what, cost = f"{subject(method, {})}, card.cost", class_of(method).card.cost
    expect(bool(cost.words), what, "words", "none")
    for count in (2, 3):
        counts = cost.passes(count)
        expect(all(passes >= 0 for passes in counts), what, "passes of 0 or more", counts)


def published(method: Given) -> None:
    """What is published says what it was measured on, in percent."""
    what = f"{subject(method, {})}, card.published"
    for number in class_of(method).card.published:
        expect(1 < number.value <= 100, what, "percent", number.value)
        expect(number.joint is None or 1 < number.joint <= 100, what, "percent", number.joint)
        origin = (number.data, number.backbone, number.protocol, number.source, number.evidence)
        expect(all(origin), what, "data, backbone, protocol, source and evidence", origin)


def preset(method: Given, key: str) -> None:
    """A preset holds parameters that there are, and says where they stand."""
    cls = class_of(method)
    what, preset = f"{subject(method, {})}, preset {key}", cls.presets[key]
    try:
        if isinstance(method, str):
            plugin_config(METHODS, method, preset.options, f"methods.{method}")
        else:
            cls.Config.model_validate(preset.options)
        Optimisation.model_validate(preset.train)
    except (ParamsError, ValueError) as error:
        expect(False, what, "parameters that there are", error)
    expect(preset.train.keys() <= Optimisation.model_fields.keys(), what, "keys of train", [*preset.train])
    expect(bool(preset.source), what, "its source", "none")
