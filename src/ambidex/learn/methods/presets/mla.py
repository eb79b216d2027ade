"""MLA: published settings."""

from ambidex.base.cards.card import Preset

presets = {
    "cremad": Preset(
        source="the released configuration for CREMA-D, whose projection does nothing",
        evidence="read in the released code",
        options={"projection": "none"},
        train={
            "epochs": 100,
            "batch_size": 64,
            "optimizer": "sgd",
            "learning_rate": 0.001,
            "momentum": 0.9,
            "weight_decay": 1e-4,
            "schedule": "step",
            "step_epochs": 70,
            "step_factor": 0.1,
        },
    )
}
