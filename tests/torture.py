"""Cancel a scenario at its first await, at its second, and so on, until it ends by itself.

After each round everything that was taken must have been given back.
"""

import asyncio
import types

import anyio
import trio

MOST_STEPS = 300


@types.coroutine
def cancelling(body, step, cancel):
    """Run *body* and call *cancel* where it waits for the *step*-th time."""
    waits = 0
    resume, given = body.send, None
    while True:
        try:
            signal = resume(given)
        except StopIteration as stop:
            return stop.value
        waits += 1
        if waits == step:
            cancel()
        try:
            resume, given = body.send, (yield signal)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the body's
            resume, given = body.throw, error


async def on_asyncio(body, step, *, twice):
    async def whole():
        return await cancelling(body, step, cancel)

    def cancel():
        task.cancel()
        if twice:
            asyncio.get_running_loop().call_soon(task.cancel)

    task = asyncio.ensure_future(whole())
    await asyncio.wait([task])
    if task.cancelled():
        return "cancelled"
    return task.result()


async def on_trio(body, step):
    ends = ["cancelled"]
    with trio.CancelScope() as scope:
        ends.append(await cancelling(body, step, scope.cancel))
    return ends[-1]


def torture(world, build, *, twice=False):
    """Cancel ``build()``'s scene at every await; the scene is made anew each time.

    A scene has ``body()``, the coroutine to cancel, ``rivals``, coroutine functions that run beside it,
    and ``check()``, which looks whether everything was given back.

    Returns:
        How many awaits there were.
    """
    step = 1
    while world.run(_round, world, build(), step, twice) == "cancelled":
        step += 1
        assert step < MOST_STEPS, "the scenario does not end"
    return step - 1


async def _round(world, scene, step, twice):
    async with anyio.create_task_group() as group:
        for rival in scene.rivals:
            group.start_soon(rival)
            await anyio.sleep(0.01)
        if world.backend == "asyncio":
            how = await on_asyncio(scene.body(), step, twice=twice)
        else:
            how = await on_trio(scene.body(), step)
    await anyio.sleep(1000)  # time for whatever might still be going on
    await scene.check()
    return how
