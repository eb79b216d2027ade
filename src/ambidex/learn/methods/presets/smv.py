"""SMV: published settings."""

from ambidex.base.cards.card import Preset

_SCRIPTS = {"epochs": 60, "batch_size": 64, "schedule": "step", "step_epochs": 30, "weight_decay": 1e-4}
"""what both released scripts train with"""

presets = {
    "kinetics_sounds": Preset(
        "the released script sample_level.py",
        "read in the released code",
        train=_SCRIPTS | {"optimizer": "adam", "learning_rate": 5e-5},
    ),
    "kinetics_sounds_modality": Preset(
        "the released script modality_level.py as it is today; its first version had SGD at 1e-3",
        "read in the released code",
        options={"level": "modality"},
        train=_SCRIPTS | {"optimizer": "adam", "learning_rate": 5e-5},
    ),
}
