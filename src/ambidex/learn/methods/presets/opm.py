"""OPM: published settings."""

from ambidex.base.cards.card import Preset, training

presets = {
    "kinetics_sounds": Preset(
        "the released script",
        "read in the released code",
        {"base": 0.5, "slope": 0.5, "execute": 0.7, "warm_up": 6},
        training("adamw", 5e-5, 32, 0.01, epochs=100, step_epochs=40),
    ),
}
