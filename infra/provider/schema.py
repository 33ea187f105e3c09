"""The provider's schema, which `pulumi import` and `pulumi package` read."""

from __future__ import annotations

from infra.declaration import ENDPOINT, UNIT, VERSION
from infra.provider.checking import INPUTS, OUTPUTS

_TEXT: dict[str, object] = {"type": "string"}
_SHAPES: dict[str, dict[str, object]] = {
    "files": {"type": "object", "additionalProperties": _TEXT},
    "epoch": {"type": "number"},
}
_MEANINGS = {
    "unit": "Name of the unit.",
    "office": "The office it stands in.",
    "service": "The service it serves.",
    "dataCentre": "The data centre that serves it.",
    "endpoint": "The endpoint of its service there.",
    "digest": "SHA-256 over its bundle's manifest.",
    "files": "SHA-256 of each file of its bundle, by path.",
    "epoch": "The right to write under which it was last applied.",
    "appliedAt": "When, by its own clock.",
    "run": "The run that applied it.",
}
_ABOUT = {UNIT: "One service's local system at one office.", ENDPOINT: "A service's host at one data centre."}


def schema() -> dict[str, object]:
    """Return the schema as a Pulumi package's."""
    return {
        "name": "pulih",
        "version": VERSION,
        "description": "Units and endpoints of an estate, deployed by pulih.",
        "config": {"variables": {"estate": {"type": "string", "description": "Folder of the estate."}}},
        "provider": {"inputProperties": {"estate": {"type": "string", "description": "Folder of the estate."}}},
        "resources": {kind: _resource(kind) for kind in INPUTS},
    }


def _resource(kind: str) -> dict[str, object]:
    inputs = list(INPUTS[kind])
    return {
        "description": _ABOUT[kind],
        "inputProperties": _properties(inputs),
        "requiredInputs": inputs,
        "properties": _properties([*inputs, *OUTPUTS]),
        "required": [*inputs, *OUTPUTS],
    }


def _properties(names: list[str]) -> dict[str, object]:
    return {name: {**_SHAPES.get(name, _TEXT), "description": _MEANINGS[name]} for name in names}
