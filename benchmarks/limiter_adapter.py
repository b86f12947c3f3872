"""Our limiter as ``limiter_sim.py`` wants it: ``--limiter limiter_adapter:make,limiter_adapter:relative``.

``make`` is told the deadline, as a pipeline's ``Timeout`` tells it; ``relative`` is not. The rest are the
classics. A permit is held until the work has really ended (``hold_zombies``).
"""

from collections.abc import Callable
from random import Random

from resilient_ml.machines.limiter import LimiterMachine
from resilient_ml.machines.limits.aimd import AIMDLimit
from resilient_ml.machines.limits.envoy import EnvoyLimit
from resilient_ml.machines.limits.failsafe import FailsafeLimit
from resilient_ml.machines.limits.gradient import Gradient2Limit, GradientLimit
from resilient_ml.machines.limits.protocol import LimitAlgorithm, Trip
from resilient_ml.machines.limits.vegas import VegasLimit
from resilient_ml.machines.limits.waiting import WaitingLimit
from resilient_ml.machines.limits.windowed import WindowedLimit


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


class _Make:
    """Makes the default; the referee tells it the deadline where it finds ``wants_slo``."""

    wants_slo = True

    def __call__(self, slo: float) -> Adapter:
        return Adapter(WaitingLimit(deadline=slo))


make = _Make()


def relative() -> Adapter:
    return Adapter(WaitingLimit())


def classic(algorithm: Callable[[], LimitAlgorithm]) -> Callable[[], Adapter]:
    return lambda: Adapter(algorithm())


aimd = classic(AIMDLimit)
vegas = classic(lambda: VegasLimit(Random(3).random))
vegas_windowed = classic(lambda: WindowedLimit(VegasLimit(Random(3).random)))
gradient = classic(lambda: GradientLimit(Random(3).random))
gradient2 = classic(lambda: WindowedLimit(Gradient2Limit()))
envoy = classic(lambda: EnvoyLimit(Random(5).random))
failsafe = classic(FailsafeLimit)
