"""What every table of the configuration is."""

from pydantic import BaseModel, ConfigDict

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
"""What reaches this machine alone."""


class Table(BaseModel):
    """A table of the file; unknown keys are refused, they are misspelt ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)
