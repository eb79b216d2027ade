"""InfoReg: published settings."""

from ambidex.base.cards.card import Preset, training

presets = {
    "paper": Preset(
        "beta and K of the paper, the loop of the released script",
        "read in the paper",
        {"mode": "paper", "beta": 0.9, "threshold": 0.04},
        training("sgd", 2e-3, 64, epochs=50, step_epochs=30),
        "the paper's loop",
    ),
    "released": Preset(
        "the released script",
        "read in the released code",
        {"mode": "released", "threshold": 0.05},
        training("sgd", 2e-3, 64, epochs=50, step_epochs=30),
    ),
}
