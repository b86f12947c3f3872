"""Scenarios: bad luck with a name, for a first look; each is a fault plan made for the length of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..testing import faults
from ..testing.faults import FaultPlan


@dataclass(frozen=True, slots=True)
class Scenario:
    """A plan to be made, and what it is in a line."""

    text: str
    make: Callable[[float], FaultPlan]

    def plan(self, seconds: float) -> FaultPlan:
        """The plan for a run of *seconds*."""
        return self.make(seconds)


def _blips(_: float) -> FaultPlan:
    return FaultPlan(
        faults.error(ConnectionError).with_probability(0.05),
        faults.error("overload", retry_after=0.1).with_probability(0.02),
    )


def _outage(seconds: float) -> FaultPlan:
    return FaultPlan(faults.error(ConnectionError).between(0.4 * seconds, 0.6 * seconds))


def _garbage(_: float) -> FaultPlan:
    return FaultPlan(faults.nan().with_probability(0.05))


def _hangs(_: float) -> FaultPlan:
    return FaultPlan(
        faults.hang().with_probability(0.01),
        faults.latency(faults.lognormal(median=0.05, sigma=1.5)).with_probability(0.2),
    )


def _storm(seconds: float) -> FaultPlan:
    return FaultPlan(
        faults.latency(faults.lognormal(median=0.02, sigma=1.0)),
        faults.error(ConnectionError).with_probability(0.05),
        faults.hang().with_probability(0.005),
        faults.error("overload", retry_after=0.2).every(seconds / 4, lasting=seconds / 40),
        faults.error(ConnectionError).between(0.4 * seconds, 0.55 * seconds),
    )


SCENARIOS: Mapping[str, Scenario] = {
    "blips": Scenario("5 % broken connections, 2 % overloaded", _blips),
    "outage": Scenario("down for a fifth of the time, from two fifths on", _outage),
    "garbage": Scenario("5 % of the answers are NaN; for models that answer in numbers", _garbage),
    "hangs": Scenario("1 % never answer, 20 % are slow, some of them very", _hangs),
    "storm": Scenario("slow, flapping, overloaded, hanging, and down for a while", _storm),
}
