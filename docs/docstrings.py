"""Shows docstrings on the reference pages as they are meant: an extension of Griffe, which reads them.

Docstrings are written to be read in the source, with Sphinx's roles and with examples that doctest runs.
Markdown would print the roles and take ``>>>`` for three nested quotations.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:class|func|meth|attr):`~?([\w.]+)`")
EXAMPLE = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)
LITERAL = re.compile(r"^(.*)::$(?=\n\n {4})", re.MULTILINE)


def as_markdown(text: str) -> str:
    """*text* with links in place of roles, and with its examples in blocks of code."""
    text = ROLE.sub(_link, text)
    text = LITERAL.sub(lambda found: f"{found[1]}:" if found[1] else "", text)
    return EXAMPLE.sub(lambda found: f"```pycon\n{found[0]}\n```", text)


def _link(role: re.Match[str]) -> str:
    """A link where a page describes the name, and the bare name where none does."""
    path = role[1].removeprefix("resilient_ml.")
    shown = path if path[0].isupper() else path.rpartition(".")[2]
    return f'<autoref optional identifier="resilient_ml.{path}"><code>{shown}</code></autoref>'


class Docstrings(griffe.Extension):
    """Rewrites each docstring of the package before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of *obj*, if it has one."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
