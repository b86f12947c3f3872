"""How soon a ramp can be found at all: by a detector that knows the noise, the direction and the slope.

It adds up the likelihood ratios of all beginnings (Shiryaev and Roberts; Pollak, Annals of Statistics 13(1),
1985, for how near to the best that is). What has to learn the noise, looks both ways and does not know how
fast a mean will rise is later.

    python benchmarks/drift_bound.py                   two minutes
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from drift_streams import RAMP, slope
from tables import machine, table

BEGINNINGS = 900
"""So many observations ago it may have begun; a ramp is found long before."""


class Oracle:
    """Many streams at once, each of N(0, 1) until its mean rises by 1 / 1000 an observation."""

    def __init__(self, streams: int, threshold: float) -> None:
        self._threshold = threshold
        self._risen = np.minimum(1.0, np.arange(BEGINNINGS) / RAMP)[:, None]
        self._evidence = np.full((BEGINNINGS, streams), -np.inf)

    def alarms(self, values: np.ndarray) -> np.ndarray:
        """Which streams alarm at their next observation; those begin anew."""
        self._evidence[1:] = self._evidence[:-1]
        self._evidence[0] = 0.0
        self._evidence += self._risen * (values - self._risen / 2.0)
        alarmed: np.ndarray = np.exp(self._evidence).sum(axis=0) >= self._threshold
        self._evidence[:, alarmed] = -np.inf
        return alarmed


def run_length(threshold: float, *, streams: int = 40, count: int = 25_000) -> float:
    draw, oracle = np.random.default_rng(0), Oracle(streams, threshold)
    alarms = sum(int(oracle.alarms(draw.normal(size=streams)).sum()) for _ in range(count))
    return streams * count / alarms


def delay(threshold: float, *, streams: int = 400, quiet: int = 500, most: int = 2000) -> float:
    """The median number of observations from the beginning of the ramp to the alarm."""
    draw, oracle = np.random.default_rng(1), Oracle(streams, threshold)
    for _ in range(quiet):
        oracle.alarms(draw.normal(size=streams))
    found = np.full(streams, most)
    for place, risen in enumerate(slope(most), 1):
        alarmed = oracle.alarms(draw.normal(size=streams) + risen)
        found[alarmed & (found == most)] = place
        if (found < most).mean() > 0.6:
            break
    return float(np.median(found))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, and print a table."""
    parser = argparse.ArgumentParser(description="how soon a ramp can be found at all")
    parser.add_argument("--thresholds", type=float, nargs="+", default=[6000.0, 9500.0], metavar="R")
    rows = [
        [f"{threshold:,.0f}", f"{run_length(threshold):,.0f}", f"{delay(threshold):.0f}"]
        for threshold in parser.parse_args(arguments).thresholds
    ]
    heads = ["threshold", "observations between false alarms", "median delay"]
    table(f"A ramp to +1 sd in {RAMP}, known but for when it begins", heads, rows)
    print(machine([]))


if __name__ == "__main__":
    main()
