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

    @property
    def all_encoders(self) -> Path:
        """All unimodal classifiers: a folder per seed."""
        return self.root / "encoders"

    def encoders(self, seed: int) -> Path:
        """All unimodal classifiers of one seed: a folder per modality."""
        return self.all_encoders / str(seed)

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

    @property
    def severities(self) -> Path:
        """A folder for each severity of a study but 0, which stands here itself; and `study`, all of them together."""
        return self.root / "severities"

    @property
    def severities_study(self) -> Path:
        """What all severities of a study say together."""
        return self.severities / "study"

    def severity(self, severity: float, learns: bool) -> "Layout":
        """The tree of one severity; `learns`: whether training sees what is degraded."""
        return self if severity == 0 else Weakened(self.severities / f"{severity:g}", self, learns)


@dataclass(frozen=True)
class Weakened(Layout):
    """The tree of one severity: what it shares with the undegraded one stands in the tree of that one."""

    plain: Layout
    learns: bool
    """whether training sees what is degraded: then it has classifiers and models of its own"""

    @property
    def manifest(self) -> Path:
        """Output of prepare."""
        return self.plain.manifest

    @property
    def all_encoders(self) -> Path:
        """All unimodal classifiers."""
        return self._learnt.root / "encoders"

    @property
    def models(self) -> Path:
        """All trained models."""
        return self._learnt.root / "models"

    def crossfit(self, method: str, regime: str, seed: int) -> Path:
        """Output of crossfit for one cell."""
        return Layout(self._learnt.root).crossfit(method, regime, seed)

    @property
    def _learnt(self) -> Layout:
        return Layout(self.root) if self.learns else self.plain


def cell_name(method: str, regime: str, seed: int) -> str:
    """The name of one cell of a study: `method-regime-seed`."""
    return f"{method}-{regime}-{seed}"
