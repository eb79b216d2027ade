"""Greedy: published settings."""

from ambidex.base.cards.card import Preset

presets = {
    "modelnet40": Preset(
        source="the released configuration for ModelNet40",
        evidence="read in the released code",
        options={"threshold": 0.01, "steps": 5, "warm_up": 1},
        train={
            "epochs": 300,
            "batch_size": 8,
            "optimizer": "sgd",
            "learning_rate": 0.1,
            "momentum": 0.0,
            "weight_decay": 0.0,
            "schedule": "constant",
            "selection": "val_accuracy",
        },
        unknown="the rate falls to 0.3 of itself after ten epochs without progress, and training stops after five "
        "epochs without an error on the training split; there is neither here",
    )
}
