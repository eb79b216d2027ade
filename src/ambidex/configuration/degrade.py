"""`extract.degrade`: modalities that are weakened on purpose, and how far (docs/degrade.md)."""

from typing import TYPE_CHECKING

from pydantic import Field

from ambidex.base.errors import ParamsError
from ambidex.base.registry import nearest
from ambidex.base.section import Fraction, Section
from ambidex.configuration.values import Seed
from ambidex.data.kinds import Absent, Degradation, Wants, any_degradation

if TYPE_CHECKING:
    Step = Degradation
else:
    Step = any_degradation()
LEARNT_ON = ("train", "val")
"""splits that training looks at"""


class Degrade(Section):
    """Weakens modalities on purpose: the steps in their order, each scaled by the severity."""

    severity: Fraction = Field(1.0, description="scales all steps; 0: nothing is done, bit for bit")
    seed: Seed = Field(0, description="of what is drawn for each sample, by its id")
    steps: tuple[Step, ...] = Field(
        (), max_length=100, description="degradations by `name`, see `ambidex kinds KIND`"
    )

    @property
    def active(self) -> bool:
        """Whether anything is done."""
        return self.severity > 0 and bool(self.steps)

    @property
    def in_learning(self) -> "Degrade":
        """What of it training sees: without what it does to test."""
        steps = []
        for step in self.steps:
            if splits := tuple(split for split in LEARNT_ON if split in step.splits):
                steps.append(step.model_copy(update={"splits": splits}))
        return self.model_copy(update={"steps": tuple(steps)})

    @property
    def words(self) -> str:
        """What is done, for protocols and tables; empty where nothing is."""
        if not self.active:
            return ""
        return f"degraded at severity {self.severity:g}: {'; '.join(step.words for step in self.steps)}"

    def check(self, kinds: Wants) -> None:
        """Raise ParamsError where a step names no modality, or one whose kind has no such degradation."""
        for index, step in enumerate(self.steps):
            path = f"extract.degrade.steps.{index}"
            if step.modality not in kinds:
                raise ParamsError(
                    f"{path}.modality: no modality '{step.modality}'; {nearest(step.modality, sorted(kinds))}"
                )
            own: tuple[type[Degradation], ...] = (*kinds[step.modality].degradations, Absent)
            if not isinstance(step, own):
                names = ", ".join(sorted(name_of(one) for one in own))
                raise ParamsError(
                    f"{path}.name: '{step.name}' is nothing for {step.modality} ({kinds[step.modality].config.kind}); "
                    f"allowed: {names}"
                )


def name_of(degradation: type[Degradation]) -> str:
    """What stands under `name` for it."""
    return str(degradation.model_fields["name"].annotation.__args__[0])  # type: ignore[union-attr]
