"""What travels between processes: policies as configuration, guarded functions by name, errors whole."""

from __future__ import annotations

import contextlib
import pickle
import re
import sys
import types
from collections.abc import Iterator
from typing import Any

from .subject import CROWD, Guard, Subject
from .verdicts import BrokenPromise, Refused
from .worlds import World, worlds

_MODULE = "resilient_ml_conformance_subject"


def pickling(subject: Subject) -> None:
    """The policy, a function it guards and the errors it raises survive a pickle."""
    world = accepted_world(subject)
    _the_policy(subject, world)
    _a_guarded_function(subject, world)
    for error in refusals(subject, world):
        _an_error(error)


def accepted_world(subject: Subject) -> World:
    """The first world that the policy serves.

    Raises:
        Refused: It serves none.
    """
    refused = Refused("it guards no colour")
    for world in worlds():
        try:
            subject.answers_for(world, subject.make())
        except Refused as error:
            refused = error
        else:
            return world
    raise refused


def _the_policy(subject: Subject, world: World) -> None:
    guard = subject.make()
    subject.crowd(world, guard)
    remedy = (
        "pickle it as its configuration, which Policy does for what its constructor was given: build it from "
        "what pickles, functions of a module instead of lambdas; or skip this check, with the reason"
    )
    try:
        again: Guard = pickle.loads(pickle.dumps(guard))
    except Exception as error:
        raise BrokenPromise(f"it does not pickle: {type(error).__name__}: {error}", remedy) from error
    if type(again) is not type(guard) or looks(again) != looks(guard):
        raise BrokenPromise(f"what came out of a pickle is {looks(again)} and was {looks(guard)}", remedy)
    found, wanted = subject.crowd(world, again), subject.fresh_crowd(world)
    if found != wanted:
        raise BrokenPromise(
            f"with what came out of a pickle {CROWD} calls at once ended as {found}, "
            f"with a fresh policy as {wanted}",
            remedy,
        )


def looks(guard: Guard) -> str:
    """How a policy is shown, without the addresses that some show."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(guard))


def _a_guarded_function(subject: Subject, world: World) -> None:
    with _module() as module:
        shaped = world.model(lambda *args, **kwargs: subject.answer())
        shaped.__module__, shaped.__name__, shaped.__qualname__ = _MODULE, "guarded", "guarded"
        guarded = subject.fresh(shaped)
        vars(module)["guarded"] = guarded
        try:
            again = pickle.loads(pickle.dumps(guarded))
        except Exception as error:
            raise BrokenPromise(
                f"a guarded function of a module does not pickle: {type(error).__name__}",
                "guard by calling a Pipeline, or keep __module__ and __qualname__ with functools.wraps",
            ) from error
    if again is not guarded:
        raise BrokenPromise(
            "a guarded function of a module came out of a pickle as another object",
            "guard with a plain function, which pickles by its name",
        )


@contextlib.contextmanager
def _module() -> Iterator[types.ModuleType]:
    module = sys.modules[_MODULE] = types.ModuleType(_MODULE)
    try:
        yield module
    finally:
        del sys.modules[_MODULE]


def refusals(subject: Subject, world: World) -> Iterator[Exception]:
    """Errors of the policy's own: of calls that it refused in a crowd, and after many failures."""
    guard = subject.make()

    def act(*args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("the model is down")

    guarded = subject.guard(guard, world.model(act))
    ends = [world.end(lambda: subject.call(guarded)) for _ in range(4 * CROWD)]
    guard = subject.make()
    ends += world.ends([subject.answers_for(world, guard)] * (4 * CROWD))
    seen: set[type] = set()
    for end in ends:
        error = end.error
        if (
            isinstance(error, Exception)
            and not isinstance(error, ConnectionError)
            and type(error) not in seen
        ):
            seen.add(type(error))
            yield error


def _an_error(error: Exception) -> None:
    name = type(error).__name__
    remedy = "call super().__init__ with what its own __init__ takes, and keep the rest in attributes"
    try:
        again = pickle.loads(pickle.dumps(error))
    except Exception as raised:
        raise BrokenPromise(f"its error {name} does not pickle: {type(raised).__name__}", remedy) from raised
    if type(again) is not type(error) or str(again) != str(error) or vars(again).keys() != vars(error).keys():
        raise BrokenPromise(f"its error {name} came out of a pickle as another", remedy)
