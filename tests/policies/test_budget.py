"""Budget in every colour: refused before it is spent, charged for what it was, all of a tree or nothing."""

import anyio
import pytest

from resilient_ml import BudgetExhausted, Bulkhead, ConstantBackoff, Keyed, Pipeline, Retry, Stream, events
from resilient_ml.policies.budget import Budget

from ..worlds import items, slow


class TooMany(Exception):
    status_code = 429


def state(budget):
    return budget.spent, budget.reserved, budget.left


def price(answer):
    return None if answer is None else float(answer)


def test_a_call_is_refused_before_it_costs_too_much(world):
    seen = []
    budget = Budget(1.0, cost=0.5, name="llm", on_event=seen.append)
    model = world.model("cat")
    safe = budget(model)
    assert [world.call(safe), world.call(safe)] == ["cat", "cat"]
    refusal = world.failure(safe)
    assert type(refusal) is BudgetExhausted
    assert str(refusal) == (
        "budget 'llm' has 0 of 1 usd left, and this call may cost 0.5; "
        "ask for less, raise the limit, or put a Fallback outside it"
    )
    assert (refusal.retry_after, refusal.policy) == (None, "llm")
    assert len(model.starts) == 2
    assert [type(event) for event in seen] == [events.BudgetSoftLimit, events.CallRejected]
    assert (seen[0].spent, seen[0].limit) == (1, 1)


def test_fifty_calls_at_the_edge_never_go_over(world):
    budget = Budget(10, unit="calls")
    model = world.model(slow(1, "cat"))
    ends = world.together(*[(budget(model),)] * 50)
    assert [type(end) for end in ends] == [str] * 10 + [BudgetExhausted] * 40
    assert state(budget) == (10, 0, 0)


def test_it_is_charged_what_the_call_did_cost(world):
    budget = Budget(1.0, cost=lambda: 0.5, spent=price)
    if world.streams:
        pytest.skip("a stream has no answer of its own")
    world.call(budget(world.model("0.125")))
    assert state(budget) == (0.125, 0, 0.875)
    assert budget.exact
    world.call(budget(world.model(None)))
    assert state(budget) == (0.625, 0, 0.375)
    assert not budget.exact


def test_tokens_are_read_from_the_usage(world):
    if world.streams:
        pytest.skip("a stream has no answer of its own")
    budget = Budget(1000, unit="tokens", cost=500)
    world.call(budget(world.model({"usage": {"input_tokens": 20, "output_tokens": 5}})))
    assert budget.spent == 25
    budget = Budget(1000, unit="tokens", cost=500, spent=lambda answer: 7)
    world.call(budget(world.model({"usage": {"input_tokens": 20, "output_tokens": 5}})))
    assert budget.spent == 7


@pytest.mark.parametrize("answer", ["cat", {"usage": {"input_tokens": 20, "output_tokens": 5}}])
def test_what_costs_the_same_whatever_it_answers_is_exact(call_world, answer):
    budget = Budget(100.0, cost=0.5)
    call_world.call(budget(call_world.model(answer)))
    assert budget.spent == 0.5
    assert budget.exact


def test_a_first_call_may_be_above_the_soft_limit(call_world):
    seen = []
    budget = Budget(1.0, cost=0.75, soft=0.5, on_event=seen.append)
    call_world.call(budget(call_world.model("cat")))
    assert [(type(event), event.spent) for event in seen] == [(events.BudgetSoftLimit, 0.75)]


@pytest.mark.parametrize(
    ("error", "spent"), [(TooMany(), 0), (ConnectionRefusedError(), 0), (ConnectionResetError(), 0.5)]
)
def test_a_failure_is_charged_unless_nothing_was_done(world, error, spent):
    budget = Budget(1.0, cost=0.5)
    world.failure(budget(world.model(error)))
    assert state(budget) == (spent, 0, 1 - spent)


def test_what_an_inner_policy_refuses_costs_nothing(world):
    budget = Budget(10, unit="calls")
    safe = Pipeline(budget, Bulkhead(1))(world.model(slow(1, "cat")))
    world.together((safe,), (safe,))
    assert budget.spent == 1


def test_each_attempt_is_charged(world):
    budget = Budget(10, unit="calls")
    safe = Pipeline(Retry(3, backoff=ConstantBackoff(0)), budget)(
        world.model(ConnectionResetError(), ConnectionResetError(), "cat")
    )
    world.call(safe)
    assert budget.spent == 3
    assert not budget.exact


def test_a_cancelled_call_is_charged_its_worst_case(async_world):
    budget = Budget(1.0, cost=0.5)
    safe = budget(async_world.model(slow(10, "cat")))

    async def scenario():
        with anyio.move_on_after(1):
            await async_world.use(safe, {})

    async_world.run(scenario)
    assert state(budget) == (0.5, 0, 0.5)


def test_a_stream_that_is_left_is_charged_for_what_it_gave(stream_world):
    budget = Budget(100, unit="tokens", cost=50, stream_cost=lambda emitted: 5 + 2 * emitted)
    stream_world.read(budget(stream_world.model(items("a", "b", "c"))), most=2)
    assert state(budget) == (9, 0, 91)
    stream_world.call(budget(stream_world.model(items("a", "b", "c"))))
    assert state(budget) == (20, 0, 80)


def going_on(args, kwargs, partial):
    return args, kwargs


def test_each_attempt_of_a_stream_that_goes_on_is_charged_for_its_own_items(stream_world):
    budget = Budget(100, unit="tokens", cost=50, stream_cost=lambda emitted: 5 + 2 * emitted)
    goes_on = Stream(on_interrupt="continue", continuation=going_on)
    safe = Pipeline(goes_on, Retry(2, backoff=ConstantBackoff(0)), budget)(
        stream_world.model(items("a", ConnectionResetError()), items("b", "c"))
    )
    assert stream_world.call(safe) == ("a", "b", "c")
    assert state(budget) == (16, 0, 84)


def test_who_cannot_say_what_a_stream_did_cost_has_nothing_set_aside_for_ever(stream_world):
    budget = Budget(100, unit="tokens", cost=50, stream_cost=lambda emitted: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        stream_world.call(budget(stream_world.model(items("a", "b"))))
    assert state(budget) == (50, 0, 50)


def test_who_cannot_say_what_a_call_did_cost_has_nothing_set_aside_for_ever(call_world):
    budget = Budget(1.0, cost=0.5, spent=lambda answer: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call_world.call(budget(call_world.model("cat")))
    assert state(budget) == (0.5, 0, 0.5)
    assert not budget.exact


@pytest.mark.parametrize("limit", [1, 0.1, 1 / 3, 2e-6, 123456.789, 1e9 / 7])
def test_whatever_its_limit_one_that_is_new_can_be_forgotten_and_one_that_has_spent_cannot(
    plain_world, limit
):
    budget = Budget(limit, cost=limit / 2)
    assert budget.forgettable()
    plain_world.call(budget(plain_world.model("cat")))
    assert not budget.forgettable()


def test_an_interrupt_is_charged(plain_world):
    budget = Budget(1.0, cost=0.5)
    with pytest.raises(KeyboardInterrupt):
        plain_world.call(budget(plain_world.model(KeyboardInterrupt())))
    assert state(budget) == (0.5, 0, 0.5)


def test_a_budget_within_another_takes_from_both_or_neither(world):
    seen = []
    tenant = Budget(1.0, cost=0, name="tenant", on_event=seen.append)
    session = Budget(5.0, cost=0.5, within=tenant, name="session")
    safe = session(world.model("cat"))
    assert [world.call(safe), world.call(safe)] == ["cat", "cat"]
    refusal = world.failure(safe)
    assert refusal.policy == "tenant"
    assert state(session) == (1, 0, 4)
    assert state(tenant) == (1, 0, 0)
    assert [type(event) for event in seen] == [events.BudgetSoftLimit]


def test_the_soft_limit_is_told_once_until_it_is_below_again(world):
    seen = []
    budget = Budget(4, unit="calls", per=60.0, soft=0.5, on_event=seen.append)
    safe = budget(world.model("cat"))
    for _ in range(4):
        world.call(safe)
    assert len(seen) == 1
    assert world.failure(safe).retry_after == pytest.approx(61.2)
    world.clock.advance(62)
    assert budget.forgettable()
    for _ in range(2):
        world.call(safe)
    assert [type(event) for event in seen].count(events.BudgetSoftLimit) == 2


def test_a_budget_per_tenant(world):
    keyed = Keyed(lambda: Budget(1, unit="calls"), key=lambda tenant: tenant)
    safe = keyed(world.model("cat"))
    assert [world.call(safe, "a"), world.call(safe, "b")] == ["cat", "cat"]
    assert isinstance(world.failure(safe, "a"), BudgetExhausted)


def test_it_shows_its_numbers():
    assert repr(Budget(20, per=60, cost=1)) == "Budget(20 usd in 60 s)"
    assert repr(Budget(20, unit="calls")) == "Budget(20 calls)"


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({}, TypeError, "cost is missing: nothing says what a call costs at most in usd; pass a number"),
        ({"cost": -1}, ValueError, "cost must be at least 0, got -1"),
        ({"cost": 1, "within": 5}, TypeError, "within must be a Budget, got 5; pass the larger budget"),
        ({"cost": 1, "soft": 0}, ValueError, "soft must be above 0 and at most 1, got 0"),
    ],
)
def test_bad_options_are_refused_with_the_remedy(options, kind, message):
    with pytest.raises(kind, match=message):
        Budget(1.0, **options)
