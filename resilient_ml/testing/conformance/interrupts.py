"""What is no Exception passes through, whether the model raises it or it comes while a policy waits."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from .scenes import Scene, contention, meddled, play_out
from .subject import REST, Crowd, Guard, Subject, clock_now
from .verdicts import BrokenPromise
from .worlds import End, Interrupt, World


def _ours(kind: type[BaseException]) -> type[BaseException]:
    return type(kind.__name__, (kind, Interrupt), {})


_KeyboardInterrupt = _ours(KeyboardInterrupt)

_RAISED = (_KeyboardInterrupt, _ours(SystemExit), GeneratorExit, asyncio.CancelledError)

_THROUGH = "act on an Exception, and let any other BaseException pass as it is"


def interrupts(subject: Subject, world: World) -> None:
    """Raised by the model, or at a wait of a policy: the identical object comes out, nothing is kept."""
    for kind in _RAISED:
        _out_of_the_model(subject, world, kind)
    if world.colour.is_async:
        play_out(subject, world, _interrupted, _judge)
    else:
        _at_every_wait(subject, world)


def _out_of_the_model(subject: Subject, world: World, kind: type[BaseException]) -> None:
    guard = subject.make()
    raised = kind()
    called = 0

    def act(*args: Any, **kwargs: Any) -> Any:
        nonlocal called
        called += 1
        raise raised

    guarded = subject.guard(guard, world.model(act))
    for _ in range(3):
        called = 0
        end = world.end(lambda: subject.call(guarded))
        if end.error is not raised:
            raise BrokenPromise(
                f"the model raised {kind.__name__} and the call ended as {end.kind}", _THROUGH
            )
        if called != 1:
            raise BrokenPromise(f"the model raised {kind.__name__} and was called {called} times", _THROUGH)
    subject.expect_fresh(
        world,
        guard,
        f"after three calls that ended in {kind.__name__}",
        "a BaseException is no outcome: count it as nothing, and give back what the call took",
    )


# -- at every await ----------------------------------------------------------------------------------------


def _interruption() -> BaseException:
    """A new one for each call, as one remembers all frames that it ever went through."""
    return _KeyboardInterrupt("delivered while the call waited")


async def _interrupted(scene: Scene, step: int) -> End:
    raised = scene.raised = _interruption()

    def interrupt() -> None:
        raise raised

    try:
        return End(await meddled(scene, step, interrupt))
    except Exception as error:
        return End(error=error)
    except KeyboardInterrupt as error:
        return End(error=error)


def _judge(scene: Scene) -> None:
    if scene.how.error is not scene.raised:
        raise BrokenPromise(f"KeyboardInterrupt came and the call ended as {scene.how.kind}", _THROUGH)


# -- at every wait of a thread -----------------------------------------------------------------------------


def _at_every_wait(subject: Subject, world: World) -> None:
    """A plain call is interrupted where it waits: for a back-off, in a queue, for a worker thread."""
    control = subject.make()
    world.end(_failing_first(subject, world, control))
    time.sleep(REST)
    allowed = subject.crowd(world, control)
    for rivals in contention(subject, world):
        step = 1
        while _at_wait(subject, world, step, rivals, allowed):
            step += 1


def _at_wait(subject: Subject, world: World, step: int, rivals: int, allowed: Crowd) -> bool:
    """Interrupt a fresh policy's call at its *step*-th wait; False where it does not wait so often."""
    guard = subject.make()
    failing = _failing_first(subject, world, guard)
    raised = _interruption()
    struck: list[int] = []

    def interrupted() -> Any:
        with _interrupt_at(step, raised, struck):
            return world.retake(failing())

    calls = [subject.answers_for(world, guard)] * rivals
    ends = world.ends([*calls, interrupted])
    if not struck:
        return False
    where = f"at its wait number {step}{f', beside {rivals} others' if rivals else ''}"
    if ends[-1].error is not raised:
        raise BrokenPromise(
            f"{where}: KeyboardInterrupt came and the call ended as {ends[-1].kind}", _THROUGH
        )
    remedy = "give back in a finally block whatever the call took"
    failed = sorted({end.kind for end in ends[:-1] if end.error is not None})
    if failed:
        raise BrokenPromise(
            f"{where}: KeyboardInterrupt came, and calls beside it ended in {', '.join(failed)}", remedy
        )
    subject.expect_fresh(world, guard, f"{where}: after KeyboardInterrupt", remedy, allowed=allowed)
    return True


def _failing_first(subject: Subject, world: World, guard: Guard) -> Callable[[], Any]:
    """One call of a model that takes a second, and fails the first time."""
    called = 0

    def act(*args: Any, **kwargs: Any) -> Any:
        nonlocal called
        called += 1
        if called == 1:
            raise ConnectionError("the first call fails")
        return subject.answer()

    guarded = subject.guard(guard, world.model(act, seconds=1.0))
    return lambda: subject.call(guarded)


@contextlib.contextmanager
def _interrupt_at(step: int, raised: BaseException, struck: list[int]) -> Iterator[None]:
    """Raise *raised* out of this thread's *step*-th wait, which is then not begun, and note the step."""
    clock = clock_now()
    own = threading.get_ident()
    wait = clock.wait
    waits = 0

    def interrupted(ready: Callable[[], bool], until: float, **how: Any) -> bool:
        nonlocal waits
        if threading.get_ident() == own:
            waits += 1
            if waits == step:
                struck.append(step)
                raise raised
        return wait(ready, until, **how)

    vars(clock)["wait"] = interrupted
    try:
        yield
    finally:
        del vars(clock)["wait"]
