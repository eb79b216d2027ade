"""A block of parameters: what every section of params.yaml and every plug-in's `Config` is made of."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A block of parameters: unknown keys are errors, values do not change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
