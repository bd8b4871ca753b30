"""Reading the pipeline's own events by the narrow structs of whoever reads them.

What comes from behind the door was checked and normalised there, so that a service decodes the members it uses and
passes over the others. What does not fit is read again by the contract's own models, which say what is wrong and where.
"""

from typing import Final, TypeVar

from msgspec import DecodeError
from msgspec.json import Decoder

from shared.events import BadEvent, parse_data

Shape = TypeVar("Shape")
_AT: Final = " - at "


def decode(decoder: Decoder[Shape], type: str, value: bytes) -> Shape:
    """An event of this CloudEvents type. Raises `BadEvent` with the path of what is wrong."""
    try:
        return decoder.decode(value)
    except (DecodeError, UnicodeDecodeError) as error:
        parse_data(type, value)
        message, _, path = str(error).partition(_AT)
        raise BadEvent(path.strip("`") or "$", message) from None
