"""ReconBoost: published settings."""

from ambidex.base.cards.card import Preset, training

_RELEASED = {
    "epochs_per_stage": 4,
    "correct_epochs": 4,
    "w1": 5.0,
    "w2": 1.0,
    "strength": 0.5,
    "boost_rate": 1.0,
}

presets = {
    "cremad": Preset(
        "README and train.py of the released code",
        "read in the released code",
        _RELEASED,
        training("sgd", 0.01, 64, 5e-4, epochs=800, step_epochs=240),
        "epochs: up to 1001 stages of 8, the released checkpoint is of stage 99; the regime is pretrained",
    ),
    "ave": Preset(
        "README and train.py of the released code",
        "read in the released code",
        _RELEASED | {"w1": 4.0},
        training("sgd", 0.01, 64, 5e-4),
        "epochs; the one drop of the learning rate, by half at stage 40; the regime is pretrained",
    ),
}
