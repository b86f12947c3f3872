"""Policies and pipelines travel as their configuration: what they were given, made anew."""

import copy
import pickle
import sys
import types

import pytest

from resilient_ml import (
    AdaptiveLimiter,
    Backoff,
    Budget,
    Bulkhead,
    BulkheadFull,
    CircuitBreaker,
    ConstantBackoff,
    Contract,
    Fallback,
    Hedge,
    Keyed,
    Pipeline,
    Policy,
    Queue,
    RateLimiter,
    Retry,
    RetryBudget,
    State,
    SurgeGuard,
    Throttle,
    Timeout,
)
from resilient_ml.contracts import Finite, Length


def tenant(thing):
    return "acme"


def seats():
    return Bulkhead(3)


def smaller_model(thing):
    return "small"


MADE = {
    "policy": lambda: Policy(name="guard"),
    "retry": lambda: Retry(5, on=ConnectionError, backoff=Backoff(1, 9), backoff_by_kind={"oom": Backoff(2)}),
    "timeout": lambda: Timeout(2.5, late_only=True),
    "breaker": lambda: CircuitBreaker(failure_rate=0.2, window_calls=50, shadow=True),
    "bulkhead": lambda: Bulkhead(3, queue=2, queue_seconds=1),
    "limiter": lambda: AdaptiveLimiter(initial=8, queue=4, deadline=2.0),
    "hedge": lambda: Hedge(smaller_model, delay=0.5, ratio=0.1),
    "throttle": lambda: Throttle(multiplier=1.5, refusals="overload"),
    "surge guard": lambda: SurgeGuard(50, patience=0.5, cost=len),
    "queue": lambda: Bulkhead(64, cost=len, queue=Queue(size=9, order="deadline")),
    "rate limiter": lambda: RateLimiter(60, tokens=9000, wait=False, output_tokens=100),
    "budget": lambda: Budget(5.0, cost=0.1, per=60),
    "contract": lambda: Contract(Finite(), Length(1), inputs={"thing": [Finite()]}, blank=1),
    "fallback": lambda: Fallback(smaller_model, "popular", on=("oom", KeyError)),
    "keyed": lambda: Keyed(seats, key=tenant, max_keys=8),
    "pipeline": lambda: Pipeline(Fallback("popular"), Pipeline(Retry(), Bulkhead(3)), name="classify"),
}

AGAIN = {
    "pickled": lambda made: pickle.loads(pickle.dumps(made)),
    "copied": copy.copy,
    "copied deeply": copy.deepcopy,
}


@pytest.mark.parametrize("again", AGAIN.values(), ids=AGAIN)
@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_what_comes_out_is_configured_as_what_went_in(make, again):
    made = make()
    found = again(made)
    assert found is not made
    assert type(found) is type(made)
    assert found.describe() == made.describe()
    assert found.name == made.name
    assert found(smaller_model)("thing") == "small"


@pytest.mark.parametrize("again", AGAIN.values(), ids=AGAIN)
def test_what_a_policy_has_learnt_stays_where_it_is(again):
    breaker = CircuitBreaker()
    breaker.force_open()
    assert again(breaker).state is State.CLOSED

    bulkhead = Bulkhead(1)

    @bulkhead
    def inside():
        other = again(bulkhead)
        with pytest.raises(BulkheadFull):
            bulkhead(tenant)("thing")
        return other.in_flight, other(tenant)("thing")

    assert inside() == (0, "acme")


def test_a_name_that_came_from_a_function_is_not_configuration():
    policy = Policy()
    policy(tenant)
    assert (policy.name, pickle.loads(pickle.dumps(policy)).name) == ("tenant", "Policy")


def test_a_budget_that_two_share_is_still_shared_and_full_again():
    budget = RetryBudget(ratio=0.5, floor=0.0, burst=1.0)
    assert budget.spend(0.0)
    first, second = pickle.loads(pickle.dumps((Retry(budget=budget), Retry(budget=budget))))
    assert first.budget is second.budget
    assert repr(first.budget) == repr(budget)
    assert first.budget.spend(0.0)
    assert not second.budget.spend(0.0)


def test_policies_that_pipelines_share_are_still_shared():
    bulkhead = Bulkhead(1)
    one, other = pickle.loads(pickle.dumps((Pipeline(Retry(), bulkhead), Pipeline(bulkhead))))
    assert one.policies[1] is other.policies[0]


class Watch(Policy):
    """A policy of a user's, who need not think of pickles."""

    def __init__(self, seconds, *, sink):
        super().__init__()
        self.limit = seconds * 2
        self.sink = sink
        self.lines = (line for line in "ab")  # does not pickle

    def describe(self):
        return f"Watch({self.limit}, {self.sink})"


@pytest.mark.parametrize("again", AGAIN.values(), ids=AGAIN)
def test_a_users_policy_travels_without_a_word_of_its_own(again):
    watch = Watch(2, sink=["a list"])
    watch.limit = 99
    assert again(watch).describe() == "Watch(4, ['a list'])"


def test_a_deep_copy_shares_nothing():
    watch = Watch(2, sink=["a list"])
    assert copy.copy(watch).sink is watch.sink
    assert copy.deepcopy(watch).sink is not watch.sink


# ---- what does not pickle


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: Keyed(seats, key=lambda thing: thing), "'key'"),
        (lambda: Fallback("popular", lambda thing: thing), "2"),
        (lambda: Pipeline(Policy(on_event=lambda event: None)), "'on_event'"),
    ],
)
def test_a_lambda_is_refused_with_the_argument_it_was_given_as(make, argument, monkeypatch):
    for loaded in [name for name in sys.modules if name.rpartition(".")[2] in ("cloudpickle", "dill")]:
        monkeypatch.delitem(sys.modules, loaded)
    with pytest.raises(pickle.PicklingError, match=f"its argument {argument} is a lambda .* top of a module"):
        pickle.dumps(make())


@pytest.mark.parametrize("loaded", ["cloudpickle", "somebody.cloudpickle", "dill"])
def test_picklers_of_code_are_left_to_pickle_it(loaded, monkeypatch):
    monkeypatch.setitem(sys.modules, loaded, types.ModuleType(loaded))
    key = lambda thing: thing  # noqa: E731
    make, (kind, args, kwargs) = Keyed(seats, key=key).__reduce__()
    assert (kind, args, kwargs) == (Keyed, (seats,), {"key": key})
    assert isinstance(make(kind, args, kwargs), Keyed)


def test_a_copy_of_a_policy_with_a_lambda_needs_no_pickle():
    keyed = Keyed(seats, key=lambda thing: thing)
    assert copy.copy(keyed).describe() == copy.deepcopy(keyed).describe() == keyed.describe()


def test_functions_that_are_guarded_at_the_top_of_a_module_pickle_by_name():
    assert pickle.loads(pickle.dumps(guarded)) is guarded


@Pipeline(Retry(2, backoff=ConstantBackoff(0)), Bulkhead(2))
def guarded(thing):
    return thing
