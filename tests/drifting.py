"""What the tests of DriftDetector share: traffic that moves, and a detector that learns fast."""

import contextlib
import random

from resilient_ml import DriftDetector, Drifted
from resilient_ml.drift import Numbers


def never():
    """A source of randomness that lets no probe through."""
    rng = random.Random()
    rng.random = lambda: 0.999
    return rng


def normal(mean=0.0, seed=1):
    rng = random.Random(seed)
    while True:
        yield rng.gauss(mean, 1.0)


def echo(value, *rest, **more):
    return value


def score(**options):
    return DriftDetector(
        Numbers("score", memory=False), **{"arl": 100_000, "reference_size": 200, "rearm": 100, **options}
    )


def feed(safe, count, mean=0.0, seed=1, **more):
    draws = normal(mean, seed)
    for _ in range(count):
        with contextlib.suppress(Drifted):
            safe(next(draws), **more)
