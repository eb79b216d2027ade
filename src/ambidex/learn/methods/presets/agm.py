"""AGM: published settings."""

from ambidex.base.cards.card import Preset


def _preset(alpha: float, epochs: int) -> Preset:
    """What the authors answer when asked for their settings."""
    train = {"epochs": epochs, "optimizer": "sgd", "momentum": 0.9, "weight_decay": 1e-4, "schedule": "step"}
    return Preset(
        "issues 3, 5 and 10 of the released code; optimiser and schedule: its script",
        "stated by the authors in an issue",
        {"alpha": alpha},
        train | {"step_epochs": 70, "step_factor": 0.1},
        "learning_rate, batch_size",
    )


presets = {
    "cremad": _preset(1.5, 1500),
    "av_mnist": _preset(2.5, 1000),
    "ur_funny": _preset(4.0, 800),
}
