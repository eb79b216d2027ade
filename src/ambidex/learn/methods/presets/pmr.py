"""PMR: published settings."""

from ambidex.base.cards.card import Preset, training


def _cremad(alpha: float, fusions: str) -> Preset:
    """What the released list of commands runs on CREMA-D: modulation ends with epoch 70."""
    return Preset(
        f"the released commands for CREMA-D with fusion {fusions}; optimiser and schedule: its script",
        "read in the released code",
        {"mode": "released", "alpha": alpha, "momentum": 0.0, "epochs": 71},
        training("sgd", 1e-3, 64, epochs=130, step_epochs=70),
        "model.fusion",
    )


presets = {
    "cremad": _cremad(2.0, "sum and concat"),
    "cremad_gated": _cremad(3.0, "gated"),
    "toolkit": Preset(
        "the settings of BalanceBenchmark",
        "read in the released code",
        {"alpha": 0.6, "momentum": 0.5, "epochs": 80},
        unknown="optimiser and epochs",
    ),
}
