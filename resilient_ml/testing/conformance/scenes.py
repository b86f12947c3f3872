"""A call that is meddled with at its first await, on a fresh policy at its second, and so on, until it ends.

The call is driven by hand, alone and beside rivals that take the seats; then a crowd comes, and sees whether
everything was given back.
"""

from __future__ import annotations

import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.lowlevel

from .subject import CROWD, REST, Crowd, Guard, Subject
from .verdicts import BrokenPromise
from .worlds import End, World

_NEVER = 0

_GIVE_BACK = "give back in a finally block whatever the call took, a place in a queue and a seat included"


@dataclass
class Scene:
    """One call to be meddled with, its rivals, and what became of them.

    Attributes:
        called: How often the model of the call was entered.
        inside: How many calls are inside it.
        left: How many still were when the call had ended.
        struck: How often it had been entered when that was felt; None before.
        raised: What it was interrupted with, if it was.
        how: What the call ended in.
        rivals: What its rivals ended in.
        crowd: How a crowd fared afterwards.
    """

    subject: Subject
    world: World
    guard: Guard
    fails: bool
    called: int = 0
    inside: int = 0
    left: int = 0
    struck: int | None = None
    raised: BaseException | None = None
    how: End = field(default_factory=End)
    rivals: list[End] = field(default_factory=list)
    crowd: Crowd | None = None

    def body(self) -> Coroutine[Any, Any, Any]:
        """The call."""
        guarded = self.subject.guard(self.guard, self._model())

        async def whole() -> Any:
            return await self.world.atake(self.subject.call(guarded))

        return whole()

    def _model(self) -> Callable[..., Any]:
        """Two waits, at once and of a second; where it *fails*, the first call does."""
        scene = self

        async def wait() -> None:
            scene.called += 1
            scene.inside += 1
            try:
                await anyio.lowlevel.checkpoint()
                if scene.fails and scene.called == 1:
                    raise ConnectionError("the first call fails")
                await anyio.sleep(1)
            finally:
                scene.inside -= 1

        async def acall(*args: Any, **kwargs: Any) -> Any:
            await wait()
            return scene.subject.answer()

        async def astream(*args: Any, **kwargs: Any) -> Any:
            yield scene.subject.answer()
            await wait()
            yield scene.subject.answer()

        async def astream_at_once(*args: Any, **kwargs: Any) -> Any:
            await wait()
            yield scene.subject.answer()

        return self.world.pick(acall, acall, astream, astream_at_once if self.fails else astream)

    async def play(self, drive: Callable[[Scene], Awaitable[End]], rivals: int) -> None:
        """Begin the rivals, run the call by *drive*, and afterwards let a crowd come."""
        rival = self.subject.answers_for(self.world, self.guard)
        async with anyio.create_task_group() as group:
            if rivals:
                group.start_soon(self._rivals, [rival] * rivals)
                await anyio.sleep(0.01)
            self.how = await drive(self)
            await anyio.sleep(0.001)
            self.left = self.inside
        await anyio.sleep(REST)
        self.crowd = await self.subject.acrowd(self.world, self.guard)

    async def _rivals(self, calls: list[Callable[[], Any]]) -> None:
        self.rivals = await self.world.aends(calls)


@types.coroutine
def meddled(scene: Scene, step: int, meddle: Callable[[], None]) -> Generator[Any, Any, Any]:
    """Run the call of *scene* and *meddle* where it waits for the *step*-th time; what that raises goes in.

    It is raised once the wait is over, as an interrupt would be.
    """
    body = scene.body()
    waits = 0
    resume: Callable[[Any], Any] = body.send
    given: Any = None
    while True:
        try:
            signal = resume(given)
        except StopIteration as stop:
            return stop.value
        waits += 1
        interrupt: BaseException | None = None
        if waits == step:
            scene.struck = scene.called
            try:
                meddle()
            except BaseException as error:
                interrupt = error
        try:
            resume, given = body.send, (yield signal)
        except BaseException as error:
            resume, given = body.throw, error
        if interrupt is not None:
            resume, given = body.throw, interrupt
        if waits == step:
            scene.struck = scene.called  # what was on its way may have come in the meantime


def contention(subject: Subject, world: World) -> list[int]:
    """How many rivals to try it with: none, half and all but one of what is all answered."""
    room = subject.room(world)
    return sorted({0, min(room // 2, CROWD - 1), max(0, room - 1)})


def play_out(
    subject: Subject,
    world: World,
    drive: Callable[[Scene, int], Awaitable[End]],
    judge: Callable[[Scene], None],
) -> None:
    """Meddle with a call at every await, in every scene, and *judge* what became of it."""
    for fails in (False, True):
        control = _played(subject, world, drive, _NEVER, fails=fails, rivals=0)
        for rivals in contention(subject, world):
            step = 0
            while True:
                step += 1
                scene = _played(subject, world, drive, step, fails=fails, rivals=rivals)
                if scene.struck is None:
                    break
                where = f"at its await number {step}{f', beside {rivals} others' if rivals else ''}"
                _judge(scene, control, judge, where)


def _played(
    subject: Subject,
    world: World,
    drive: Callable[[Scene, int], Awaitable[End]],
    step: int,
    *,
    fails: bool,
    rivals: int,
) -> Scene:
    subject.room(world)
    scene = Scene(subject, world, subject.make(), fails)
    world.run(lambda: scene.play(lambda one: drive(one, step), rivals))
    return scene


def _judge(scene: Scene, control: Scene, judge: Callable[[Scene], None], where: str) -> None:
    try:
        judge(scene)
    except BrokenPromise as broken:
        raise BrokenPromise(f"{where}: {broken.seen}", broken.remedy) from None
    if scene.left:
        raise BrokenPromise(f"{where}: the model was left running", "end, or close, what you started")
    if scene.called != scene.struck:
        raise BrokenPromise(
            f"{where}: the model was called again after that", "act on an Exception, never on a BaseException"
        )
    if any(end.error is not None for end in scene.rivals):
        kinds = sorted({end.kind for end in scene.rivals if end.error is not None})
        raise BrokenPromise(f"{where}: calls beside it ended in {', '.join(kinds)}", _GIVE_BACK)
    if scene.crowd not in (scene.subject.fresh_crowd(scene.world), control.crowd):
        raise BrokenPromise(
            f"{where}: {CROWD} calls at once ended afterwards as {scene.crowd}, with a fresh policy as "
            f"{scene.subject.fresh_crowd(scene.world)}",
            _GIVE_BACK,
        )
