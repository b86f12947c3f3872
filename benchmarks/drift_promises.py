"""Whether detectors of drift keep their promise on quiet streams of every kind: tails, ties, memory, cycles.

Each has a reference of 1000 observations, as a `DriftDetector` would have learned it, and then sees 25,000
more of another draw of the same stream. What counts is how many observations apart false alarms are.

    python benchmarks/drift_promises.py                   four minutes on two free cores
    python benchmarks/drift_promises.py --runs 10 --only cycle,chain
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import accumulate

# The matrices are small: a thread for each core only gets in the way of the other process.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import numpy.typing as npt
from drift_streams import Draw, Floats, categories, errors, source, tail
from tables import machine, table

from resilient_ml.drift import Classes, Losses, Numbers, Signal, Vectors

ARL = 10_000
REFERENCE, COUNT = 1000, 25_000
FIVE = np.array([0.4, 0.25, 0.2, 0.1, 0.05])
WARM = 300
"""So many observations go by before a stream with memory is what it always is."""

Numbered = np.random.Generator


def autoregressive(*weights: float) -> Draw:
    def drawn(draw: Numbered, count: int) -> Floats:
        values = [0.0] * len(weights)
        for noise in draw.normal(size=count + WARM).tolist():
            values.append(noise + sum(w * values[-1 - late] for late, w in enumerate(weights)))
        return np.array(values[-count:])

    return drawn


def cycle(period: int, swing: float = 1.0) -> Draw:
    """Noise of deviation 1 and a wave that begins anywhere."""
    return lambda draw, count: draw.normal(size=count) + swing * wave(draw, count, period)


def wave(draw: Numbered, count: int, period: int) -> Floats:
    places: Floats = np.sin(2.0 * np.pi * (np.arange(count) + draw.integers(period)) / period)
    return places


def spread_in_cycles(draw: Numbered, count: int) -> Floats:
    return (1.0 + 0.5 * wave(draw, count, 1000)) * draw.normal(size=count)


def heteroscedastic(by_last: float, by_before: float) -> Draw:
    """GARCH(1, 1): a spread that follows the last value and its own past."""

    def drawn(draw: Numbered, count: int) -> Floats:
        variance, values = 0.1 / (1.0 - by_last - by_before), []
        for noise in draw.normal(size=count + WARM).tolist():
            values.append(noise * math.sqrt(variance))
            variance = 0.1 + by_last * values[-1] ** 2 + by_before * variance
        return np.array(values[-count:])

    return drawn


def two_levels(chance: float) -> Draw:
    """Noise on a level that is now 0, now 1, and changes by *chance*."""

    def drawn(draw: Numbered, count: int) -> Floats:
        return np.cumsum(draw.random(count) < chance) % 2 + draw.normal(size=count)

    return drawn


def jumping(chance: float) -> Draw:
    """Noise on a level that jumps to any other by *chance*."""

    def drawn(draw: Numbered, count: int) -> Floats:
        jumps = np.cumsum(draw.random(count) < chance)
        levels: Floats = draw.normal(size=int(jumps[-1]) + 1)[jumps]
        return levels + draw.normal(size=count)

    return drawn


def moving(size: int) -> Draw:
    return lambda draw, count: np.convolve(draw.normal(size=count + size - 1), np.ones(size), "valid")


def repeated(times: int) -> Draw:
    return lambda draw, count: np.repeat(draw.normal(size=count // times + 1), times)[:count]


def chain(rate: float, again: float) -> Draw:
    """Error flags of which a share *again* are as the one before."""

    def drawn(draw: Numbered, count: int) -> Floats:
        fresh = np.where(draw.random(count) < 1.0 - again, np.arange(count), 0)
        flags: Floats = errors(rate)(draw, count)[np.maximum.accumulate(fresh)]
        return flags

    return drawn


def errors_in_cycles(rate: float, period: int, swing: float) -> Draw:
    def drawn(draw: Numbered, count: int) -> Floats:
        rates = rate * (1.0 + swing * wave(draw, count, period))
        return (draw.random(count) < rates).astype(np.float64)

    return drawn


def shares_in_cycles(period: int, swing: float) -> Draw:
    """Five classes that come and go one after the other."""

    def drawn(draw: Numbered, count: int) -> Floats:
        angles = 2.0 * np.pi * (np.arange(count) + draw.integers(period)) / period
        shares = FIVE * np.exp(swing * np.sin(angles[:, None] + np.arange(len(FIVE))))
        below = np.cumsum(shares / shares.sum(axis=1, keepdims=True), axis=1)
        classes: Floats = (draw.random(count)[:, None] > below[:, :-1]).sum(axis=1).astype(np.float64)
        return classes

    return drawn


def in_runs(again: float) -> Draw:
    """Five classes, of which a share *again* are as the one before."""

    def drawn(draw: Numbered, count: int) -> Floats:
        fresh = np.where(draw.random(count) < 1.0 - again, np.arange(count), 0)
        classes: Floats = categories(FIVE)(draw, count)[np.maximum.accumulate(fresh)]
        return classes

    return drawn


def waves(period: int, swing: float) -> Draw:
    """Eight features that rise and fall together."""
    return lambda draw, count: draw.normal(size=(count, 8)) + swing * wave(draw, count, period)[:, None]


Hours = npt.NDArray[np.intp]


def by_hour(hours: int, each: int, kind: Callable[[Numbered, Hours], Floats]) -> Draw:
    """Rows of an hour, *each* observations in a row, and what *kind* makes of it."""

    def drawn(draw: Numbered, count: int) -> Floats:
        at = (np.arange(count) + draw.integers(hours * each)) // each % hours
        return np.column_stack([at, kind(draw, at)])

    return drawn


def scores_by_hour(draw: Numbered, at: Hours) -> Floats:
    scores: Floats = draw.normal(size=len(at)) + 3.0 * np.sin(at)
    return scores


def errors_by_hour(draw: Numbered, at: Hours) -> Floats:
    return (draw.random(len(at)) < 0.15 + 0.12 * np.sin(at)).astype(np.float64)


def classes_by_hour(draw: Numbered, at: Hours) -> Floats:
    shares = FIVE * np.exp(np.sin(at[:, None] + np.arange(len(FIVE))))
    below = np.cumsum(shares / shares.sum(axis=1, keepdims=True), axis=1)
    classes: Floats = (draw.random(len(at))[:, None] > below[:, :-1]).sum(axis=1).astype(np.float64)
    return classes


def rows_by_hour(draw: Numbered, at: Hours) -> Floats:
    """Of eight features levels, spreads and what goes together depend on the hour."""
    angles = at[:, None] + np.arange(8)
    rows: Floats = draw.normal(size=(len(at), 8)) * (1.0 + 0.5 * np.cos(angles)) + np.sin(angles)
    rows[:, 1] += np.sin(at) * rows[:, 0]
    return rows


def in_strata(kind: Callable[[Numbered, Hours], Floats]) -> Mapping[str, Draw]:
    return {
        f"{hours} hours of {each}": by_hour(hours, each, kind)
        for hours, each in ((24, 1), (24, 10), (8, 40), (2, 100))
    }


def beside(*columns: Draw) -> Draw:
    return lambda draw, count: np.column_stack([column(draw, count) for column in columns])


def normal(draw: Numbered, count: int) -> Floats:
    return draw.normal(size=count)


def one_for_all(draw: Numbered, count: int) -> Floats:
    common: Floats = draw.normal(size=(count, 1))
    return math.sqrt(0.5) * (draw.normal(size=(count, 32)) + common)


def directions(draw: Numbered, count: int) -> Floats:
    rows = draw.normal(size=(count, 64)) + 1.0
    unit: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def walk_to(draw: Numbered, count: int) -> Floats:
    """A walk that is drawn back to the middle, through the logistic function: a confidence with memory."""
    steps = draw.normal(size=count + WARM).tolist()
    walk = np.array(list(accumulate(steps, lambda last, fresh: 0.8 * last + fresh)))[-count:]
    confidence: Floats = 1.0 / (1.0 + np.exp(-2.0 - walk))
    return confidence


SCORES: Mapping[str, Draw] = {
    "uniform": lambda draw, count: draw.random(count),
    "Laplace": lambda draw, count: draw.laplace(size=count),
    "lognormal": lambda draw, count: draw.lognormal(size=count),
    "Cauchy": lambda draw, count: draw.standard_cauchy(count),
    "exponential": lambda draw, count: draw.exponential(size=count),
    "Poisson(3)": lambda draw, count: draw.poisson(3.0, count).astype(np.float64),
    "five grades": categories(np.array([0.05, 0.1, 0.2, 0.4, 0.25])),
    "80 % zeros": lambda draw, count: np.where(draw.random(count) < 0.8, 0.0, draw.random(count)),
    "Beta(.5, .5)": lambda draw, count: draw.beta(0.5, 0.5, count),
    "Beta(50, 1)": lambda draw, count: draw.beta(50.0, 1.0, count),
    "Beta(8, 2), two digits": lambda draw, count: np.round(draw.beta(8.0, 2.0, count), 2),
    "AR(1) of 0.3": autoregressive(0.3),
    "AR(1) of 0.7": autoregressive(0.7),
    "AR(1) of 0.9": autoregressive(0.9),
    "AR(1) of 0.97": autoregressive(0.97),
    "AR(1) of -0.5": autoregressive(-0.5),
    "AR(1) of -0.9": autoregressive(-0.9),
    "AR(2) of 0.5, -0.7": autoregressive(0.5, -0.7),
    "AR(3) of 0, 0, 0.5": autoregressive(0.0, 0.0, 0.5),
    "a mean of 5": moving(5),
    "each value twice": repeated(2),
    "each value 10 times": repeated(10),
    "confidence with memory": walk_to,
    "cycle of 4": cycle(4),
    "cycle of 7": cycle(7),
    "cycle of 12": cycle(12),
    "cycle of 24": cycle(24),
    "cycle of 200": cycle(200),
    "cycle of 1000": cycle(1000),
    "cycle of 5000, half": cycle(5000, 0.5),
    "spread in a cycle of 1000": spread_in_cycles,
    "GARCH of 0.1, 0.85": heteroscedastic(0.1, 0.85),
    "GARCH of 0.2, 0.7": heteroscedastic(0.2, 0.7),
    "two levels, 50 long": two_levels(1 / 50),
    "a level that jumps, 20 long": jumping(1 / 20),
}
LOSSES: Mapping[str, Draw] = {
    **{f"errors {rate:g}": errors(rate) for rate in (0.002, 0.01, 0.05, 0.2, 0.5, 0.8, 0.99)},
    **{
        f"chain of {rate:g}, {again:g} again": chain(rate, again)
        for rate, again in (
            (0.1, 0.1),
            (0.1, 0.2),
            (0.3, 0.1),
            (0.3, 0.4),
            (0.02, 0.5),
            (0.1, 0.8),
            (0.5, 0.9),
        )
    },
    "errors in a cycle of 24": errors_in_cycles(0.1, 24, 0.8),
    "errors in a cycle of 200": errors_in_cycles(0.1, 200, 0.8),
    "errors in a cycle of 500": errors_in_cycles(0.3, 500, 0.5),
    "errors in a cycle of 1000": errors_in_cycles(0.1, 1000, 0.5),
    "losses Beta(1, 5)": lambda draw, count: draw.beta(1.0, 5.0, count),
}
CLASSES: Mapping[str, Draw] = {
    "one class": categories(np.ones(1)),
    "two classes, 0.9": categories(np.array([0.9, 0.1])),
    "three classes": categories(np.ones(3) / 3),
    "a class of 0.001": categories(np.array([0.97, 0.02, 0.009, 0.001])),
    "100 classes": categories(np.ones(100) / 100),
    "1000 classes": categories(np.ones(1000) / 1000),
    "tail 1 of 50": categories(tail(50)),
    "tail 1 of 3000": categories(tail(3000)),
    "tail 1.5 of 1000": categories(tail(1000, 1.5)),
    "tail 2 of 1000": categories(tail(1000, 2.0)),
    "classes in runs of 1.4": in_runs(0.3),
    "classes in runs of 3": in_runs(0.7),
    "classes in runs of 20": in_runs(0.95),
    "classes in a cycle of 24": shares_in_cycles(24, 0.5),
    "classes in a cycle of 100": shares_in_cycles(100, 0.5),
    "classes in a cycle of 200": shares_in_cycles(200, 0.5),
    "classes in a cycle of 500": shares_in_cycles(500, 0.5),
    "classes in a cycle of 1000": shares_in_cycles(1000, 0.5),
}
ROWS: Mapping[str, Draw] = {
    "2 features": beside(normal, normal),
    "32 with one cause": one_for_all,
    "32 of t(3)": lambda draw, count: draw.standard_t(3.0, (count, 32)),
    "32 lognormal": lambda draw, count: draw.lognormal(size=(count, 32)),
    "20 binary": lambda draw, count: (draw.random((count, 20)) < 0.1).astype(np.float64),
    "directions in 64": directions,
    "16 of unlike units": lambda draw, count: draw.normal(size=(count, 16)) * 10.0 ** np.arange(-8, 8),
    "8 with memory of 0.5": beside(*[autoregressive(0.5)] * 8),
    "8 with memory of 0.9": beside(*[autoregressive(0.9)] * 8),
    "8 in a cycle of 24": waves(24, 0.5),
    "8 in a cycle of 200": waves(200, 0.5),
    "8 in a cycle of 1000": waves(1000, 0.5),
}
WATCHED: Sequence[tuple[str, Callable[[], Signal], Mapping[str, Draw]]] = (
    ("Numbers", lambda: Numbers("x"), SCORES),
    ("Numbers, shape", lambda: Numbers("x", shape=True), SCORES),
    ("Losses", Losses, LOSSES),
    ("Classes", lambda: Classes("x"), CLASSES),
    ("Vectors", lambda: Vectors("x"), ROWS),
    ("Numbers, strata", lambda: Numbers("x", strata=lambda: 0), in_strata(scores_by_hour)),
    ("Losses, strata", lambda: Losses(strata=lambda: 0), in_strata(errors_by_hour)),
    ("Classes, strata", lambda: Classes("x", strata=lambda: 0), in_strata(classes_by_hour)),
    ("Vectors, strata", lambda: Vectors("x", strata=lambda: 0), in_strata(rows_by_hour)),
)


def false_alarms(job: tuple[int, str], *, runs: int) -> list[int]:
    """How many each of the *runs* has."""
    place, name = job
    _, signal, streams = WATCHED[place]
    found = []
    for number in range(runs):
        reference = streams[name](source(name, number, "reference"), REFERENCE)
        quiet = streams[name](source(name, number, "quiet"), COUNT)
        found.append(len(signal().detector(reference, ARL).update_many(quiet)))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, and print a table."""
    parser = argparse.ArgumentParser(description="whether detectors of drift keep their promise")
    parser.add_argument("--runs", type=int, default=40, help="references and streams of each kind (40)")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time (2)")
    parser.add_argument("--only", default="", metavar="A,B", help="streams whose name has one of these")
    given = parser.parse_args(arguments)
    jobs = [
        (place, name)
        for place, (_, _, streams) in enumerate(WATCHED)
        for name in streams
        if any(part in name for part in given.only.split(","))
    ]
    with multiprocessing.get_context("spawn").Pool(given.jobs) as pool:
        found = pool.map(partial(false_alarms, runs=given.runs), jobs, chunksize=1)
    shown = []
    for (place, name), alarms in zip(jobs, found, strict=True):
        total, seen = sum(alarms), len(alarms) * COUNT
        apart = f"{seen / total:,.0f}" if total else f"> {seen:,}"
        # Alarms with one reference go together, so the error is that of a sum over references.
        error = float(np.std(alarms)) * math.sqrt(len(alarms))
        kept = "yes" if total * ARL <= seen else "close" if (total - 2.0 * error) * ARL <= seen else "no"
        share = f"{error / total:.0%}" if total else ""
        shown.append([WATCHED[place][0], name, apart, share, str(max(alarms)), kept])
    title = f"Asked for {ARL:,} observations between false alarms; {given.runs} references of {REFERENCE:,}"
    table(title, ["by", "quiet stream", "apart", "error", "most with one", "kept"], shown)
    print("close: short by less than two standard errors")
    print(machine([]))


if __name__ == "__main__":
    main()
