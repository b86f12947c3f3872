"""The locks of flow control: the books are kept under one, it is given back, and is another after a fork."""

import math
from functools import partial
from typing import Any

import pytest

from resilient_ml import _forks
from resilient_ml.machines.admission import AdmissionMachine
from resilient_ml.machines.budget import Ledger
from resilient_ml.machines.flights import Flights, Seat
from resilient_ml.machines.gcra import Gcra
from resilient_ml.machines.hot_keys import HotKeyMachine
from resilient_ml.machines.limiter import LimiterMachine
from resilient_ml.machines.limits.aimd import AIMDLimit
from resilient_ml.machines.queue_rules import Queue
from resilient_ml.machines.rate_gate import RateGate
from resilient_ml.machines.seats_gate import SeatsGate
from resilient_ml.machines.surge import SurgeMachine
from resilient_ml.machines.throttle import ThrottleMachine
from resilient_ml.machines.tinylfu import TinyLFU
from resilient_ml.machines.usage_estimate import UsageEstimate
from resilient_ml.machines.waiting_room import Ticket

INF = math.inf


class CountedLock:
    """How often it was taken, and how often it is held now."""

    def __init__(self) -> None:
        self.taken = self.held = 0

    def acquire(self, blocking: bool = True) -> bool:
        self.taken += 1
        self.held += 1
        return True

    def release(self) -> None:
        self.held -= 1

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def never() -> bool:
    return True


def waiting(gate: RateGate) -> Any:
    gate.admit(0.0, (1,))
    return gate.join(0.0, (1,), INF)[0]


def ticket() -> Ticket:
    return Ticket(1.0, INF, INF, 0.0, 0, None, never)


def leader(flights: Flights) -> Seat:
    seat = Seat("leader")
    flights.join(b"key", seat)
    return seat


def follower(flights: Flights) -> Seat:
    leader(flights)
    seat = Seat("follower")
    flights.join(b"key", seat)
    return seat


MACHINES = {
    "rate gate": lambda: RateGate([Gcra(60, per=60.0, burst=1)], queue=10),
    "usage estimate": lambda: UsageEstimate(1.0),
    "ledger": lambda: Ledger(1.0),
    "admission": lambda: AdmissionMachine(SeatsGate(2), Queue(size=10)),
    "flights": lambda: Flights(1),
    "tinylfu": lambda: TinyLFU(100, rng=lambda: 0.5),
    "hot keys": lambda: HotKeyMachine(0.5, 1, 1, 10, 10),
    "throttle": lambda: ThrottleMachine(2.0, 10.0, 0.9, 1),
    "surge": lambda: SurgeMachine(1, 1.0, 1.0),
    "limiter": lambda: LimiterMachine(AIMDLimit()),
}

# What is done to each machine: made ready before its lock is watched.
ACTS = {
    "rate gate": {
        "admit": lambda gate: partial(gate.admit, 0.0, (1,)),
        "turn_of": lambda gate: partial(gate.turn_of, 0.0, (1,)),
        "join": lambda gate: partial(gate.join, 0.0, (1,), INF),
        "serve": lambda gate: partial(gate.serve, waiting(gate), 0.0, never),
        "leave": lambda gate: partial(gate.leave, waiting(gate), 0.0),
        "settle": lambda gate: partial(gate.settle, gate.admit(0.0, (1,)), (1.0,), 0.0),
        "close": lambda gate: partial(gate.close, 0.0, 1.0),
        "hear": lambda gate: partial(gate.hear, 0, 0.0, None, 0.0),
        "left": lambda gate: partial(gate.left, 0.0),
    },
    "usage estimate": {
        "expected": lambda estimate: estimate.expected,
        "begin": lambda estimate: estimate.begin,
        "end": lambda estimate: estimate.end,
        "learn": lambda estimate: partial(estimate.learn, 1.0),
    },
    "ledger": {
        "reserve": lambda ledger: partial(ledger.reserve, 0.0, 0.5),
        "settle": lambda ledger: partial(ledger.settle, 0.0, 0.5, 0.5),
        "spent": lambda ledger: partial(ledger.spent, 0.0),
        "reserved": lambda ledger: ledger.reserved,
        "left": lambda ledger: partial(ledger.left, 0.0),
    },
    "admission": {
        "enter": lambda machine: partial(machine.enter, 0.0, 1.0),
        "join": lambda machine: partial(machine.join, ticket(), 0.0),
        "leave": lambda machine: partial(machine.leave, ticket()),
        "give": lambda machine: partial(machine.give, machine.enter(0.0, 1.0), 0.0, math.nan, 1.0),
        "learn": lambda machine: partial(machine.learn, 1.0, 1.0),
        "hand_over": lambda machine: partial(machine.hand_over, 0.0),
    },
    "flights": {
        "join": lambda flights: partial(flights.join, b"key", Seat(1)),
        "follow": lambda flights: partial(flights.follow, follower(flights), never),
        "stay": lambda flights: partial(flights.stay, follower(flights)),
        "listen": lambda flights: partial(flights.listen, follower(flights), 0, never),
        "record": lambda flights: partial(flights.record, leader(flights), "chunk", 1, 9),
        "lose": lambda flights: partial(flights.lose, leader(flights), "why"),
        "land": lambda flights: partial(flights.land, leader(flights), "answer"),
        "fail": lambda flights: partial(flights.fail, leader(flights), ValueError(), shared=False),
        "leave, a follower": lambda flights: partial(flights.leave, follower(flights)),
        "leave, a leader": lambda flights: partial(flights.leave, leader(flights)),
        "forget": lambda flights: flights.forget,
    },
    "tinylfu": {
        "put": lambda cache: partial(cache.put, "key", 1, 1),
        "discard": lambda cache: partial(cache.discard, "key"),
        "clear": lambda cache: cache.clear,
        "statistics": lambda cache: cache.statistics,
        "get, many times": lambda cache: lambda: [cache.get("key", 0.0) for _ in range(64)],
    },
    "hot keys": {
        "enter": lambda machine: partial(machine.enter, "key"),
        "leave": lambda machine: machine.enter("key").leave,
        "hottest": lambda machine: partial(machine.hottest, 1),
    },
    "throttle": {
        "admit": lambda machine: partial(machine.admit, 0.0, 0.5),
        "accepted": lambda machine: partial(machine.accepted, 0.0),
        "refused": lambda machine: partial(machine.refused, 0.0),
        "share": lambda machine: partial(machine.share, 0.0),
        "tally": lambda machine: partial(machine.tally, 0.0),
        "reset": lambda machine: machine.reset,
    },
    "surge": {
        "arrive": lambda machine: partial(machine.arrive, 0.0, 0, 1.0, 1.0),
        "take_back": lambda machine: partial(machine.take_back, 1.0),
        "surging": lambda machine: partial(machine.surging, 0.0, 1.0),
        "demand": lambda machine: partial(machine.demand, 0.0),
        "backlog": lambda machine: partial(machine.backlog, 0.0, 1.0),
    },
    "limiter": {
        "admit": lambda machine: partial(machine.admit, 0.0),
        "end": lambda machine: partial(machine.end, machine.admit(0.0), 1.0),
        "judge": lambda machine: partial(machine.judge, machine.admit(0.0), 1.0, "ok"),
        "leave": lambda machine: partial(machine.leave, machine.admit(0.0)),
        "reset": lambda machine: partial(machine.reset, AIMDLimit()),
        "snapshot": lambda machine: machine.snapshot,
        "restore": lambda machine: partial(machine.restore, machine.snapshot()),
    },
}


def lock_of(name: str) -> str:
    return "_own_lock" if name == "ledger" else "_lock"


@pytest.mark.parametrize(("name", "act"), [(name, act) for name, acts in ACTS.items() for act in acts])
def test_whatever_is_done_to_a_machine_is_done_under_its_lock(name, act):
    machine, lock = MACHINES[name](), CountedLock()
    do = ACTS[name][act](machine)
    setattr(machine, lock_of(name), lock)
    do()
    assert lock.taken > 0
    assert lock.held == 0


def test_what_a_model_takes_is_counted_under_the_lock_once_in_each_tenth_of_the_window():
    machine, lock = ThrottleMachine(2.0, 10.0, 0.9, 1), CountedLock()
    machine._lock = lock
    for twentieths in range(100):
        machine.accepted(twentieths / 20)
    assert lock.taken == 5
    assert machine.tally(5.0).calls == 100


@pytest.mark.parametrize("name", MACHINES)
def test_a_lock_that_was_held_when_the_process_forked_holds_nobody_up(name):
    machine = MACHINES[name]()
    before = getattr(machine, lock_of(name))
    assert machine in _forks._registered
    machine.after_fork()
    after = getattr(machine, lock_of(name))
    assert after is not before
    with after:
        pass
