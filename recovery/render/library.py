"""Template sources, parsed once: what each uses, what it includes, and Jinja's compiled form of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, cast

import jinja2
from jinja2 import nodes as ast
from jinja2.exceptions import SecurityError
from jinja2.meta import find_undeclared_variables
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from recovery.errors import Mistake
from recovery.render.syntax import FILTERS, finalize

_REFERRING = (ast.Include, ast.Extends, ast.Import, ast.FromImport)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """One template.

    Attributes:
        variables: Names it takes from its surroundings, with the line of the first use.
        includes: Names of templates it includes, with the line.
        compiled: Ready to render.
    """

    name: str
    variables: Mapping[str, int]
    includes: Mapping[str, int]
    compiled: jinja2.Template


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox: a template may look at what it is given, and at nothing else on the machine that renders it.

    An estate names its templates, and whoever looks at somebody's estate runs them. A text can't be multiplied, so that
    no template fills the memory. Sets come sorted: a loop over one writes the same bytes everywhere.
    """

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Work out `left operator right`, for numbers that stay small."""
        if not (_is_small(left) and _is_small(right)) or operator == "**":
            raise SecurityError(f"`{operator}` is for small whole numbers only")
        return super().call_binop(context, operator, left, right)

    def getattr(self, obj: Any, attribute: str) -> Any:
        value = super().getattr(obj, attribute)
        return sorted(cast("frozenset[str]", value)) if isinstance(value, frozenset) else value

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        # A path of the estate could read any file, and remove it.
        return not isinstance(obj, PurePath) and super().is_safe_attribute(obj, attr, value)


def _not_compiled(error: Exception) -> str:
    """Say what Jinja's compiler, or Python's behind it, could not take: blocks or brackets nested too deep, mostly."""
    return f"can't be compiled: {type(error).__name__}: {str(error)[:200]}"


def _is_small(value: object) -> bool:
    return isinstance(value, int) and abs(value) < 1 << 32


class Library:
    """All templates of a folder, by `<kind>/<file>`."""

    def __init__(self, folder: Path, sources: Mapping[str, str]) -> None:
        self.folder = folder
        self._sources = sources
        self._parsed: dict[str, Parsed | Mistake] = {}
        self._environment = _Environment(
            loader=jinja2.FunctionLoader(self._load),
            undefined=jinja2.StrictUndefined,
            finalize=finalize,
            autoescape=False,  # no HTML here; `finalize` guards every value
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            cache_size=-1,
        )
        self._environment.filters.update(FILTERS)
        # Other bytes each time: no template may have them.
        del self._environment.filters["random"], self._environment.globals["lipsum"]

    def _load(self, name: str) -> tuple[str, str, None] | None:
        source = self._sources.get(name)
        return None if source is None else (source, str(self.folder / name), None)

    def __contains__(self, name: str) -> bool:
        return name in self._sources

    def __getitem__(self, name: str) -> Parsed | Mistake:
        """Return a template, or why it is none."""
        if name not in self._parsed:
            self._parsed[name] = self._parse(name)
        return self._parsed[name]

    def text(self, text: str) -> tuple[frozenset[str], jinja2.Template]:
        """Return the variables of a template that has no file of its own, and its compiled form.

        Raises:
            jinja2.TemplateSyntaxError: It is no template.
        """
        try:
            tree = self._environment.parse(text)
            variables = find_undeclared_variables(tree)
            return frozenset(variables), self._environment.from_string(tree)
        except jinja2.TemplateSyntaxError:
            raise
        except Exception as error:
            raise jinja2.TemplateSyntaxError(_not_compiled(error), 1) from error

    def _parse(self, name: str) -> Parsed | Mistake:
        file = self.folder / name
        try:
            tree = self._environment.parse(self._sources[name], name, str(file))
            variables = _first_uses(tree)
            compiled = self._environment.get_template(name)
        except jinja2.TemplateSyntaxError as error:
            words = f"is not a valid template: {error.message}"
            return Mistake(file=file, line=error.lineno, path="(template)", message=words)
        except Exception as error:
            return Mistake(file=file, line=1, path="(template)", message=_not_compiled(error))
        includes: dict[str, int] = {}
        for node in tree.find_all(_REFERRING):
            reference = node.template
            if not isinstance(reference, ast.Const) or not isinstance(reference.value, str):
                words = "includes a template whose name is computed; write the name itself"
                return Mistake(file=file, line=node.lineno, path="(template)", message=words)
            if reference.value not in self._sources:
                words = f"includes {reference.value}, which does not exist; names start at the templates' folder"
                return Mistake(file=file, line=node.lineno, path="(template)", message=words)
            includes.setdefault(reference.value, node.lineno)
        return Parsed(name=name, variables=variables, includes=includes, compiled=compiled)


def _first_uses(tree: ast.Template) -> dict[str, int]:
    """Return the variables that a template takes from its surroundings, with the line of the first use."""
    found = dict.fromkeys(find_undeclared_variables(tree), 0)
    for node in tree.find_all(ast.Name):
        if node.name in found:
            found[node.name] = min(found[node.name] or node.lineno, node.lineno)
    return {name: line or 1 for name, line in found.items()}
