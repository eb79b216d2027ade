"""Types that several sections of params.yaml share: names, seeds, and the choice of a plug-in."""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from ambidex.base.section import Fraction as Fraction
from ambidex.base.section import Section as Section

ModalityName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=100)]
"""a name that becomes part of a path and a word of a shell command"""
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Regime = Literal["scratch", "pretrained", "frozen"]


class Choice(BaseModel):
    """A plug-in by `name`; the other keys are its options, checked against its own Config."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str

    @property
    def options(self) -> dict[str, Any]:
        """The plug-in's options as given."""
        return dict(self.__pydantic_extra__ or {})


def _as_block(value: Any) -> Any:
    """`history` is short for {name: history}."""
    return {"name": value} if isinstance(value, str) else value


Named = Annotated[Choice, BeforeValidator(_as_block)]
"""a plug-in by its name alone, or as a block"""
