"""Shows docstrings on the reference pages as they are meant: an extension of Griffe, which reads them.

Docstrings are written to be read in the source, with Sphinx's roles and with examples that doctest runs.
Markdown would print the roles and take ``>>>`` for three nested quotations.
"""

from __future__ import annotations

import importlib
import re
from typing import Any

import griffe

PACKAGES = (
    "resilient_ml.testing.conformance",
    "resilient_ml.testing.faults",
    "resilient_ml.testing.simulate",
    "resilient_ml.testing",
    "resilient_ml.evaluate",
    "resilient_ml.events",
    "resilient_ml",
)
"""What names without a package are looked up in, the innermost first."""

ROLE = re.compile(r":(?:class|func|meth|attr|data|exc|mod):`~?([\w.]+)`")
EXAMPLE = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)
LITERAL = re.compile(r"^(.*)::$(?=\n\n {4})", re.MULTILINE)


def as_markdown(text: str, where: str) -> str:
    """*text* of the object *where*, with links in place of roles, and with its examples in blocks of code."""
    text = ROLE.sub(lambda role: _link(role[1], where), text)
    text = LITERAL.sub(lambda found: f"{found[1]}:" if found[1] else "", text)
    return EXAMPLE.sub(lambda found: f"```pycon\n{found[0]}\n```", text)


def _link(name: str, where: str) -> str:
    """A link where a page describes the name, and the bare name where none does."""
    path = name if name.startswith("resilient_ml.") else _absolute(name, where)
    package = next(one for one in PACKAGES if path.startswith(f"{one}."))
    shown = path.removeprefix(f"{package}.")
    return f'<autoref optional identifier="{path}"><code>{shown}</code></autoref>'


def _absolute(name: str, where: str) -> str:
    """The path of *name*, as the docstring of *where* means it."""
    around = (one for one in PACKAGES if f"{where}.".startswith(f"{one}."))
    first = name.partition(".")[0]
    found = next((one for one in around if hasattr(importlib.import_module(one), first)), PACKAGES[-1])
    return f"{found}.{name}"


class Docstrings(griffe.Extension):
    """Rewrites each docstring of the package before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of *obj*, if it has one."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value, obj.path)
