"""What hangs is let go, from any thread, on every loop, or never."""

import threading

import anyio
import pytest

from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan, HangReleased

from ...worlds import items


def test_a_call_hangs_until_the_plan_lets_go(world):
    plan = FaultPlan(faults.hang())
    model = plan.inject(world.model("cat"))
    began = world.clock.now()

    def release():
        world.clock.sleep(7)
        plan.release()

    thread = threading.Thread(target=release)
    thread.start()
    error = world.failure(model)
    thread.join()
    assert isinstance(error, HangReleased)
    assert str(error) == "call 1 of 'model' hung until its fault plan let go of it, with release()"
    assert world.clock.now() - began == 7
    assert plan.gate._wakers == []


def test_once_let_go_nothing_hangs_until_the_plan_is_reset(world):
    plan = FaultPlan(faults.hang())
    model = plan.inject(world.model("cat"))
    plan.release()
    for _ in range(2):
        assert isinstance(world.failure(model), HangReleased)
    plan.reset()
    plan.release()
    assert isinstance(world.failure(model), HangReleased)


def test_a_task_that_hangs_can_be_cancelled(async_world):
    plan = FaultPlan(faults.hang())
    model = plan.inject(async_world.model("cat"))

    async def main():
        with anyio.move_on_after(5) as scope:
            await async_world.use(model, {})
        return scope.cancelled_caught

    began = async_world.clock.now()
    assert async_world.run(main) is True
    assert async_world.clock.now() - began == 5
    assert plan.gate._wakers == []


def test_a_reset_has_calls_hang_again(await_world):
    plan = FaultPlan(faults.hang())
    model = plan.inject(await_world.model("cat"))
    plan.release()
    plan.reset()

    async def main():
        with anyio.move_on_after(5) as scope:
            await model()
        return scope.cancelled_caught

    assert await_world.run(main) is True


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_task_whose_loop_has_ended_is_past_letting_go(backend):
    plan = FaultPlan(faults.hang())
    model = plan.inject(anyio.sleep)
    coroutines = []

    async def main():
        coroutine = model(1)
        coroutine.send(None)  # it hangs, and is never driven again
        coroutines.append(coroutine)

    anyio.run(main, backend=backend)
    plan.release()
    coroutines.pop().close()
    with pytest.raises(HangReleased):
        plan.inject(len)("")


def test_a_stream_hangs_before_its_first_item(stream_world):
    plan = FaultPlan(faults.hang())
    plan.release()
    model = stream_world.model(items(1, 2))
    assert isinstance(stream_world.failure(plan.inject(model)), HangReleased)
    assert model.starts == []
