"""Needs: what a method needs of the model. Checked from the parameters alone, before anything is read or trained."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ambidex.base.errors import ModelError
from ambidex.net.encoders import ENCODERS, Staged, staged_names
from ambidex.net.fusion import FUSIONS

if TYPE_CHECKING:
    from ambidex.net.model import Architecture


@dataclass(frozen=True)
class Needs:
    """What a method needs of the model, so that nothing is silently a no-op."""

    additive_head: bool = False
    """contributions that sum to the logits exactly (fusion concat, sum or shared)"""
    min_modalities: int = 1
    max_modalities: int | None = None
    classifiers: bool = False
    """the unimodal classifiers of pretrain, in every regime: the model starts as they are, heads included"""
    stages: bool = False
    """encoders that run in stages, between which modalities can exchange"""
    pooled: str = ""
    """a head that reads pooled features alone, in a few words what the method does to them; empty: tokens are fine"""
    missing: bool = False
    """whether it knows what to do with samples that lack a modality"""
    trained: str = ""
    """encoders that train, in a few words what it does to them alone; empty: it has something to do without"""

    def check(
        self, name: str, architecture: "Architecture", frozen: bool, methods: Mapping[str, "Needs"]
    ) -> None:
        """Raise ModelError with one line: what the method `name` needs, what was found, and what would do.

        `frozen`: the encoders stand still; `methods`: what every method needs, by name.
        """
        for complaint in self._complaints(architecture, methods):
            raise ModelError(f"method {name}: {complaint}")
        if frozen and self.trained:
            raise ModelError(
                f"method {name}: {self.trained}, and they are frozen; use regime scratch or pretrained"
            )

    def takes(self, count: int) -> bool:
        """Whether it works on so many modalities."""
        return self.min_modalities <= count and (self.max_modalities is None or count <= self.max_modalities)

    def _complaints(self, architecture: "Architecture", methods: Mapping[str, "Needs"]) -> Iterator[str]:
        """What is missing: what is needed, what was found, what would do."""
        count, fusion = len(architecture.encoders), architecture.fusion.name
        if not self.takes(count):
            least, most = self.min_modalities, self.max_modalities
            at_most = f"works on {most}" if least == most else f"works on at most {most}"
            limit = f"needs at least {least}" if count < least else at_most
            takers = [name for name, needs in methods.items() if needs.takes(count)]
            fact = f"the model has {count} ({', '.join(architecture.encoders)})"
            yield f"{limit} modalities, {fact}; methods for {count}: {', '.join(takers)}"
        if self.additive_head and not FUSIONS.get(fusion).additive:
            yield (
                f"needs contributions that sum to the logits, fusion '{fusion}' has none; "
                "use fusion concat, sum or shared"
            )
        if architecture.fill is not None and not self.missing:
            others = ", ".join(name for name, needs in methods.items() if needs.missing)
            yield f"needs samples that have every modality, and some lack one; methods for such: {others}"
        if self.pooled and FUSIONS.get(fusion).reads_tokens:
            yield f"{self.pooled}, and fusion '{fusion}' reads tokens; use fusion concat, sum, shared, gated or film"
        for modality, encoder in architecture.encoders.items() if self.stages else ():
            if not issubclass(ENCODERS.get(encoder.name), Staged):
                yield (
                    f"exchanges between the stages of encoders, '{encoder.name}' of {modality} has none; "
                    f"use {' or '.join(staged_names())}"
                )
