"""Where a run's outputs stand under one folder. Every door (dvc, Kubeflow, make, command line) uses these names."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """The folder tree of a run: manifest/ parts/ features/ encoders/ models/ crossfit/ reports/ study/."""

    root: Path

    @property
    def manifest(self) -> Path:
        """Output of prepare."""
        return self.root / "manifest"

    @property
    def features(self) -> Path:
        """Output of extract: the feature store."""
        return self.root / "features"

    @property
    def parts(self) -> Path:
        """All parts of a feature store that is extracted in parts."""
        return self.root / "parts"

    def part(self, index: int) -> Path:
        """Output of extract for one part."""
        return self.parts / str(index)

    def encoders(self, seed: int) -> Path:
        """All unimodal classifiers of one seed: a folder per modality."""
        return self.root / "encoders" / str(seed)

    def encoder(self, modality: str, seed: int) -> Path:
        """Output of pretrain for one modality and seed."""
        return self.encoders(seed) / modality

    @property
    def models(self) -> Path:
        """All trained models."""
        return self.root / "models"

    def model(self, method: str, regime: str, seed: int) -> Path:
        """Output of train for one cell of the study."""
        return self.models / cell_name(method, regime, seed)

    def crossfit(self, method: str, regime: str, seed: int) -> Path:
        """Output of crossfit for one cell."""
        return self.root / "crossfit" / cell_name(method, regime, seed)

    @property
    def reports(self) -> Path:
        """All evaluations."""
        return self.root / "reports"

    def report(self, method: str, regime: str, seed: int) -> Path:
        """Output of evaluate for one cell."""
        return self.reports / cell_name(method, regime, seed)

    @property
    def study(self) -> Path:
        """Output of compare."""
        return self.root / "study"


def cell_name(method: str, regime: str, seed: int) -> str:
    """The name of one cell of a study: `method-regime-seed`."""
    return f"{method}-{regime}-{seed}"
