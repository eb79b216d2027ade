"""OGM-GE: published settings."""

from ambidex.base.cards.card import Preset, training

presets = {
    "cremad": Preset(
        "the released script, with the README's alpha",
        "read in the released code",
        {"alpha": 0.8, "ge": True, "start": 0, "end": 50},
        training("sgd", 1e-3, 64, epochs=100, step_epochs=70),
    ),
    "vggsound": Preset(
        "the released script, with the README's alpha",
        "read in the released code",
        {"alpha": 0.1, "ge": True, "start": 0, "end": 50},
        training("sgd", 1e-3, 64, epochs=100, step_epochs=70),
    ),
    "kinetics_sounds": Preset(
        "the script of the journal version (TPAMI 2024)",
        "read in the released code",
        {"ge": True, "start": 6, "end": 60},
        training("adamw", 5e-5, 32, 0.01, epochs=100, step_epochs=40),
        "alpha, for the code has 1.0 and 0.8",
    ),
    "cremad_journal": Preset(
        "the journal version (TPAMI 2024); start: its code modulates nothing in the first six epochs",
        "stated by the authors in an issue",
        {"alpha": 2.6, "ge": True, "start": 6, "end": 80},
        training("adamw", 1e-3, 32, 0.01, epochs=100, step_epochs=20),
    ),
}
