"""The two kinds of model: a part of an event, and an event."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError


class Part(BaseModel):
    """A member of an event. Strict, frozen, blind to members it does not know."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
        json_schema_serialization_defaults_required=True,
    )


class Event(Part):
    """The data of one event; `type` is its CloudEvents type."""

    type: ClassVar[str]


def flaw(path: str, message: str) -> PydanticCustomError:
    """An error of a check across members; `path` is relative to the model that checks (`lines[1].line_id`)."""
    return PydanticCustomError("flaw", "{message}", {"path": path, "message": message})
