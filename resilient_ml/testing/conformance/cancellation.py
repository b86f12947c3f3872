"""A call that is cancelled at any of its awaits ends cancelled, at once, and leaves nothing behind."""

from __future__ import annotations

import asyncio

from .scenes import Scene, meddled, play_out
from .subject import Subject
from .verdicts import BrokenPromise
from .worlds import End, World


def cancellation(subject: Subject, world: World) -> None:
    """Cancelled at every await: it ends cancelled, the model is not called again, nothing is kept."""
    if world.backend == "trio":
        play_out(subject, world, _cancelled_on_trio, _judge_cancelled)
        return
    for twice in (False, True):

        async def drive(scene: Scene, step: int, twice: bool = twice) -> End:
            return await _cancelled_on_asyncio(scene, step, twice=twice)

        play_out(subject, world, drive, _judge_cancelled)


class _Cancelled(Exception):
    """It ended as a cancelled call should."""


class _Uncancelled(Exception):
    """It ended cancelled, and took back that it was asked to."""


async def _cancelled_on_asyncio(scene: Scene, step: int, *, twice: bool) -> End:
    asked = 0

    def ask() -> None:
        nonlocal asked
        asked += task.cancel()

    def cancel() -> None:
        ask()
        if twice:
            asyncio.get_running_loop().call_soon(ask)

    async def whole() -> End:
        try:
            return End(await meddled(scene, step, cancel))
        except asyncio.CancelledError:
            current = asyncio.current_task()
            assert current is not None
            return End(error=_Cancelled() if current.cancelling() >= asked else _Uncancelled())
        except Exception as error:
            return End(error=error)

    task = asyncio.ensure_future(whole())
    await asyncio.wait([task])
    return End(error=_Cancelled()) if task.cancelled() else task.result()


async def _cancelled_on_trio(scene: Scene, step: int) -> End:
    import trio

    with trio.CancelScope() as scope:
        try:
            value = await meddled(scene, step, scope.cancel)
        except Exception as error:
            return End(error=error)
        # A call may end before it sees the cancellation; the scope still does.
        await trio.lowlevel.checkpoint_if_cancelled()
        return End(value)
    return End(error=_Cancelled())


def _judge_cancelled(scene: Scene) -> None:
    if isinstance(scene.how.error, _Uncancelled):
        raise BrokenPromise(
            "a call that was cancelled took its cancellation back",
            "call task.uncancel() only for a cancellation of your own",
        )
    if not isinstance(scene.how.error, _Cancelled):
        raise BrokenPromise(
            f"a call that was cancelled ended as {scene.how.kind}", "let a cancellation pass, always"
        )
