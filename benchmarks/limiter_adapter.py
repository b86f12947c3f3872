"""Our limiter as ``limiter_sim.py`` wants it: ``--limiter limiter_adapter:make,limiter_adapter:relative``.

``make`` is told the deadline, as a pipeline's ``Timeout`` tells it; ``relative`` is not. The rest are the
classics. A permit is held until the work has really ended (``hold_zombies``).
"""

from collections.abc import Callable

from resilient_ml.machines.limiter import LimiterMachine
from resilient_ml.machines.limits.protocol import LimitAlgorithm, Trip
from resilient_ml.machines.limits.waiting import WaitingLimit


class Adapter:
    hold_zombies = True

    def __init__(self, algorithm: LimitAlgorithm) -> None:
        self.machine = LimiterMachine(algorithm)
        self.acquire = self.machine.admit

    @property
    def limit(self) -> int:
        return self.machine.limit

    @property
    def inflight(self) -> float:
        return self.machine.inside

    def release(self, trip: Trip, now: float, outcome: str) -> None:
        self.machine.end(trip, now, outcome)


def make(slo: float) -> Adapter:
    return Adapter(WaitingLimit(deadline=slo))


make.wants_slo = True


def relative() -> Adapter:
    return Adapter(WaitingLimit())
