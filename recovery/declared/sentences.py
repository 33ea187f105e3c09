"""What pydantic found wrong with a file's shape, in sentences and with the line of each."""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from recovery.declared.fields import described
from recovery.declared.nodes import MAX_MISTAKES, Document, Location

Model = TypeVar("Model", bound=BaseModel)

MAX_CANDIDATES = 500
MAX_COMPARED = 100
"""Names, and characters of one, that a wrong name is compared with: each comparison takes some 10 µs."""


_FIT = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_COMPARED}}}")


def checked(document: Document, model: type[Model]) -> Model | None:
    """Return a document's content as its class, or None with every reason noted in the document."""
    if document.data is None:
        return None
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        problems = error.errors(include_url=False)[: MAX_MISTAKES + 1]
        misspelt = {_meant(model, problem["loc"]) for problem in problems if problem["type"] == "extra_forbidden"}
        for problem in problems:
            location = problem["loc"]
            if location and location[-1] == "[key]":
                location = location[:-1]
            if problem["type"] == "missing" and location in misspelt:
                continue
            context: Mapping[str, Any] = problem.get("ctx", {})
            sentence = _sentence(model, problem["type"], location, problem["input"], context)
            document.add(location, sentence, is_follow_up=True)
        return None


def close(name: str, known: Iterable[str]) -> str | None:
    """Return the name that is nearest to a wrong one; None where none is near, or there are too many to look at."""
    candidates = _fit(known)
    if len(candidates) > MAX_CANDIDATES or len(name) > MAX_COMPARED:
        return None
    return next(iter(difflib.get_close_matches(name, candidates, n=1)), None)


def _fit(known: Iterable[str]) -> list[str]:
    """Leave out what no name may look like: it is a mistake of its own, and could be anything."""
    return [each for each in known if _FIT.fullmatch(each)]


def near(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that helps with a wrong name: the nearest one, or all of a few, or nothing."""
    candidates = _fit(known)
    nearest = close(name, candidates)
    if nearest is not None:
        return f"; did you mean '{nearest}'?"
    if 0 < len(candidates) <= 12:
        return f"; there {'is' if len(candidates) == 1 else 'are'} {', '.join(candidates)}"
    return ""


def _sentence(model: type[BaseModel], kind: str, location: Location, value: object, context: Mapping[str, Any]) -> str:
    match kind:
        case "pulih":
            return str(context["sentence"])
        case "missing":
            return f"is missing, expected {_expected(model, location)}"
        case "extra_forbidden":
            meant = _meant(model, location)
            if meant:
                return f"unknown key; did you mean '{meant[-1]}'?"
            return f"unknown key, expected one of {', '.join(_keys(model, location[:-1]))}"
        case "too_short":
            return "found an empty list, expected at least one entry"
        case "too_long":
            return f"found {context['actual_length']:,} entries, expected at most {context['max_length']}"
        case "model_type" | "dict_type":
            keys = _keys(model, location)
            return f"found {described(value)}, expected a block of keys{': ' if keys else ''}{', '.join(keys)}"
        case "list_type":
            hint = " (write [] for an empty one)" if value == "" else ""
            return f"found {described(value)}, expected a list{hint}"
        case _:
            return f"found {described(value)}, expected {_expected(model, location)}"


def _meant(model: type[BaseModel], location: Location) -> Location | None:
    """Return where an unknown key would be right, if it looks like a known one."""
    nearest = close(str(location[-1]), _keys(model, location[:-1]))
    return (*location[:-1], nearest) if nearest is not None else None


def _keys(model: type[BaseModel], location: Location) -> list[str]:
    """Return the keys of the block at a location; none where any key may stand."""
    around = _model_at(model, location)
    return [field.alias or name for name, field in around.model_fields.items()] if around is not None else []


def _expected(model: type[BaseModel], location: Location) -> str:
    """Return the description of the field that a location leads to."""
    while location and isinstance(location[-1], int):
        location = location[:-1]
    around = _model_at(model, location[:-1])
    field = _field(around, str(location[-1])) if around is not None and location else None
    return (field.description if field is not None else None) or "another value"


def _field(model: type[BaseModel], key: str) -> FieldInfo | None:
    for name, field in model.model_fields.items():
        if (field.alias or name) == key:
            return field
    return None


def _model_at(model: type[BaseModel], location: Location) -> type[BaseModel] | None:
    """Return the class of the block at a location; None where there is no block of fixed keys."""
    annotation: Any = model
    for part in location:
        annotation = _bare(annotation)
        if isinstance(part, int):
            annotation = next(iter(typing.get_args(annotation)), None)
        elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
            field = _field(annotation, part)
            annotation = field.annotation if field is not None else None
        else:
            annotation = next(iter(typing.get_args(annotation)[1:]), None)
    annotation = _bare(annotation)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _bare(annotation: Any) -> Any:
    """Strip `| None` off an annotation."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return next(choice for choice in typing.get_args(annotation) if choice is not type(None))
    return annotation
