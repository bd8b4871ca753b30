"""Which members of events are about a person, and how they are hidden from who has no need to see them. Pure."""

from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue

CONTACT: Final = frozenset({"name", "email", "phone"})
FREE_TEXT: Final[Mapping[str, frozenset[str]]] = {
    "claim.submitted.v1": frozenset({"note", "uri"}),
    "claim.admitted.v1": frozenset({"note", "uri"}),
    "seller.answered.v1": frozenset({"note"}),
    "claim.reviewed.v1": frozenset({"reason"}),
    "refund.settled.v1": frozenset({"failure_reason"}),
    "claim.settled.v1": frozenset({"failure_reason"}),
    "notification.failed.v1": frozenset({"reason"}),
}
"""By type, the members in which somebody wrote what they liked."""


def mask(value: str | None) -> str | None:
    """A value with all but its first letter hidden; the length is hidden too."""
    return None if not value else f"{value[0]}•••••"


def masked(type_: str, data: JsonValue) -> tuple[JsonValue, bool]:
    """An event's data (or the whole of a structured event) with contact data and free text hidden, and whether anything
    was. Of an unknown type every text that may be free is hidden."""
    free = FREE_TEXT.get(type_, frozenset({"note", "uri", "failure_reason"}) if not type_ else frozenset())
    hidden = CONTACT | free
    found = False

    def hide(tree: JsonValue) -> JsonValue:
        nonlocal found
        if isinstance(tree, list):
            return [hide(one) for one in tree]
        if not isinstance(tree, dict):
            return tree
        shown: dict[str, JsonValue] = {}
        for name, value in tree.items():
            if name in hidden and isinstance(value, str) and value:
                found = True
                shown[name] = mask(value)
            else:
                shown[name] = hide(value)
        return shown

    return hide(data), found
