"""Diagnosing & Re-learning: published settings."""

from ambidex.base.cards.card import Preset, training

presets = {
    "released": Preset(
        "the released script",
        "read in the released code",
        {"strength": 3.0, "every": 20, "times": 3},
        training("sgd", 2e-3, 64, epochs=90),
    ),
}
