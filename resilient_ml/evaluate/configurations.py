"""Configurations: what stands around the model, nothing included."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from .. import _checks
from .._colour import Colour, target_of
from .._order import PolicyOrderWarning
from .._pipeline import Pipeline
from .._policy import Policy

Configuration = Any
"""None, a Pipeline, a Policy, a decorator of any library, or a function without parameters that makes one."""

NAKED = "naked"
GUARDED = "guarded"


def named(given: Configuration | Mapping[str, Configuration]) -> dict[str, Configuration]:
    """The configurations by name; a single one is compared with the naked model.

    Raises:
        TypeError: One is none.
        ValueError: There are none, or a name cannot be used in an objective.

    >>> list(named(Policy()))
    ['naked', 'guarded']
    """
    arms = dict(given) if isinstance(given, Mapping) else {NAKED: None, GUARDED: given}
    if not arms:
        raise ValueError(
            "configurations must hold at least one, got none; pass {'naked': None, 'guarded': Retry()}"
        )
    for name, configuration in arms.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise ValueError(
                "the name of a configuration must be letters, digits and underscores, got "
                f"{_checks.shown(name)}; "
                "objectives call it by that name"
            )
        if (
            configuration is not None
            and not callable(configuration)
            and not isinstance(configuration, Pipeline)
        ):
            raise TypeError(
                f"configuration {name!r} must be None, a Pipeline, a Policy or a decorator, "
                f"got {_checks.shown(configuration)}; None calls the model as it is"
            )
    return arms


def guard(
    name: str, configuration: Configuration, model: Callable[..., Any], colour: Colour
) -> Callable[..., Any]:
    """*model* as configuration *name* has it called.

    Raises:
        TypeError: What the configuration made cannot be called as the model is.
    """
    if configuration is None:
        return model
    if isinstance(configuration, Pipeline | Policy):
        return configuration(model, colour=colour)
    guarded = configuration(model)
    if not callable(guarded) or target_of(guarded).colour is not colour:
        found = target_of(guarded).colour.value if callable(guarded) else _checks.shown(guarded)
        raise TypeError(
            f"configuration {name!r} must make {_an(colour)} of {_an(colour)}, got {found}; "
            "pass a decorator that keeps what it decorates"
        )
    checked: Callable[..., Any] = guarded
    return checked


def made(configuration: Configuration) -> Configuration:
    """*configuration*, ready to serve and as new.

    Policies are copied, which makes them anew from what they were made with; a function without any
    parameters is asked for what to use; a decorator is used as it is.
    """
    if configuration is None:
        return None
    if isinstance(configuration, Pipeline):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PolicyOrderWarning)  # it was given when the original was made
            return Pipeline(*map(copy.copy, configuration.policies), name=configuration.name)
    if isinstance(configuration, Policy):
        return copy.copy(configuration)
    try:
        parameters = inspect.signature(configuration).parameters
    except ValueError:  # a builtin that does not tell
        return configuration
    return configuration if parameters else made(configuration())


def describe(configuration: Configuration) -> str:
    """What stands around the model, in a line or more."""
    if configuration is None:
        return "the model alone"
    if isinstance(configuration, Pipeline | Policy):
        return configuration.describe()
    name = getattr(configuration, "__qualname__", None) or type(configuration).__qualname__
    return f"decorated by {name}"


def _an(colour: Colour) -> str:
    return f"an {colour.value}" if colour.is_async else f"a {colour.value}"
