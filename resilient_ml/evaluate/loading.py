"""Loading what a command line names: ``module:attribute``, from the current directory or installed."""

from __future__ import annotations

import difflib
import importlib
import sys
from pathlib import Path
from typing import Any


class NotLoaded(Exception):
    """What was named cannot be had; the message says why, and what to write."""


def load(option: str, named: str) -> Any:
    """What *named* stands for.

    Args:
        option: Whose value it is, for messages.
        named: ``module:attribute``, such as ``app.models:model.predict``.

    Raises:
        NotLoaded: There is no such module or attribute, or the module fails.

    >>> load("--oracle", "operator:neg")(3)
    -3
    """
    module_name, colon, path = named.partition(":")
    if not (module_name and colon and path):
        raise NotLoaded(f"{option} must be module:attribute, got {named!r}; write app.models:predict, say")
    module: Any = _import(option, module_name)
    found: Any = module
    for step in path.split("."):
        try:
            found = getattr(found, step)
        except AttributeError:
            close = difflib.get_close_matches(
                step, [name for name in dir(found) if not name.startswith("__")], n=1
            )
            hint = f"; did you mean {close[0]!r}?" if close else "; check its spelling"
            where = f"module {module_name!r}" if found is module else f"{type(found).__name__} in {named!r}"
            raise NotLoaded(f"{option}: {where} has no attribute {step!r}{hint}") from None
    return found


def _import(option: str, name: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise NotLoaded(
                f"{option}: module {name!r} needs {error.name!r}, which is not installed"
            ) from error
        raise NotLoaded(
            f"{option}: there is no module {error.name!r}; run this where it can be imported, "
            "and name it as an import would, with dots and without .py"
        ) from None
    except SystemExit:
        raise NotLoaded(
            f"{option}: module {name!r} exits when it is imported; put what it does as a program under "
            "if __name__ == '__main__'"
        ) from None
    except Exception as error:
        raise NotLoaded(
            f"{option}: module {name!r} failed to import: {type(error).__name__}: {error}"
        ) from error
