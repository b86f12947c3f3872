"""The classic detectors: do they alarm where river's do, what does one cost, and when is another one better?

    python benchmarks/drift_classics.py

Both are fed the same streams, ours one at a time and many at once. An agreement is every alarm, and for the
detectors of errors every warning, at the same place. River is in the extra `bench`.
"""

from __future__ import annotations

import importlib
import math
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from resilient_ml.drift import (
    ADWIN,
    CUSUM,
    DDM,
    HDDMA,
    HDDMW,
    ConformalShiryaevRoberts,
    Detector,
    EShiryaevRoberts,
    PageHinkley,
)

Draw = Callable[[np.random.Generator, int], Any]

STREAMS, COUNT, SPEED, BATCH, ROUNDS = 60, 3000, 100_000, 4096, 7
RENAMED = {
    "min_window": "min_window_length",
    "grace": "grace_period",
    "two_sided": "two_sided_test",
    "lambda_": "lambda_val",
}
SCORES: list[dict[str, Any]] = [
    {},
    {"threshold": 10.0, "delta": 0.1},
    {"threshold": 20.0, "alpha": 1.0, "mode": "up"},
    {"threshold": 8.0, "alpha": 0.99, "min_instances": 5, "mode": "down"},
]
WINDOWS: list[dict[str, Any]] = [
    {},
    {"delta": 0.1, "clock": 1},
    {"clock": 100, "max_buckets": 3, "min_window": 10},
    {"delta": 0.5, "clock": 33, "grace": 100, "max_buckets": 10},
]
RATES: list[dict[str, Any]] = [{}, {"warm_start": 100, "warning_threshold": 1.5, "drift_threshold": 2.5}]
AVERAGES: list[dict[str, Any]] = [
    {},
    {"two_sided": True},
    {"drift_confidence": 0.05, "warning_confidence": 0.1, "two_sided": True},
]


def scores() -> Iterator[Any]:
    """Numbers of all sizes: with and without a change, heavy tails, walks, constants."""
    place = np.arange(COUNT)
    for seed in range(STREAMS // 10):
        draw = np.random.default_rng(seed)
        noise, late = draw.normal(size=COUNT), place >= COUNT // 2
        yield noise + late
        yield noise
        yield 5.0 * noise - 100.0 - 4.0 * late
        yield noise + 1e6 + 2.0 * late
        yield 1e9 * noise
        yield draw.standard_t(2, COUNT)
        yield 0.3 * np.cumsum(noise)
        yield draw.integers(-5, 6, COUNT) + late
        yield np.full(COUNT, noise[0] * 10.0 ** draw.integers(-3, 7))
        yield (draw.random(COUNT) < np.where(late, 0.3, 0.1)).astype(float)


def errors() -> Iterator[Any]:
    """Errors that rise, fall, creep, are rare, come and go, are all or none; and losses."""
    place = np.arange(COUNT)
    for seed in range(STREAMS // 10):
        draw = np.random.default_rng(seed)
        late = place >= COUNT // 2
        for rate in (
            np.where(late, 0.3, 0.1),
            np.where(late, 0.2, 0.5),
            np.full(COUNT, 0.01),
            np.full(COUNT, 0.3),
            0.1 + 0.4 * place / COUNT,
            np.where(place % 1000 < 500, 0.05, 0.6),
            np.full(COUNT, float(seed % 2)),
        ):
            yield (draw.random(COUNT) < rate).astype(float)
        yield np.where(late, draw.beta(4, 4, COUNT), draw.beta(2, 8, COUNT))
        yield draw.beta(2, 5, COUNT)
        yield np.full(COUNT, 0.5)


def places(detector: Any, stream: list[float], river: bool) -> tuple[list[int], list[int]]:
    """Where it alarmed, and where it warned."""
    alarms, warnings = [], []
    for place, value in enumerate(stream):
        alarm, warning = detector.update(value), False
        if river:
            alarm, warning = detector.drift_detected, getattr(detector, "warning_detected", False)
        else:
            warning = detector.level == "warn"
        if alarm:
            alarms.append(place)
        elif warning:
            warnings.append(place)
    return alarms, warnings


def compared(
    ours: Callable[..., Any], theirs: Callable[..., Any], many: list[dict[str, Any]], streams: Iterator[Any]
) -> str:
    agreed = total = alarms = 0
    for stream in streams:
        for settings in many:
            expected = places(
                theirs(**{RENAMED.get(name, name): value for name, value in settings.items()}),
                stream.tolist(),
                river=True,
            )
            at_once = ours(**settings).update_many(stream).tolist()
            agreed += places(ours(**settings), stream.tolist(), river=False) == expected and (
                at_once == expected[0]
            )
            total += 1
            alarms += len(expected[0])
    return f"{agreed} of {total} streams, {alarms} alarms"


def microseconds(update: Callable[[float], object], values: list[float]) -> float:
    began = time.perf_counter()
    for value in values:
        update(value)
    return (time.perf_counter() - began) / len(values) * 1e6


def in_a_loop(detector: Any, values: list[float]) -> float:
    """How many values a second river's *detector* takes where its alarms are noticed."""
    alarms = []
    began = time.perf_counter()
    for place, value in enumerate(values):
        detector.update(value)
        if detector.drift_detected:
            alarms.append(place)
    return len(values) / (time.perf_counter() - began)


def speed(make: Callable[[], Detector], theirs: Callable[[], Any] | None, data: Any) -> str:
    """The best rounds: microseconds a value of ours and river's, and many, in millions a second."""
    values = data.tolist()
    single = min(microseconds(make().update, values) for _ in range(ROUNDS))
    shown = f"{'':>8s} {'':>10s}"
    if theirs is not None:
        river = min(microseconds(theirs().update, values) for _ in range(ROUNDS))
        noticing = max(in_a_loop(theirs(), values) for _ in range(ROUNDS))
        shown = f"{river:8.2f} {noticing / 1e6:10.2f}"
    rates = []
    for _ in range(ROUNDS):
        detector, began = make(), time.perf_counter()
        for begin in range(0, len(data), BATCH):
            detector.update_many(data[begin : begin + BATCH])
        rates.append(len(data) / (time.perf_counter() - began))
    return f"{single:8.2f} {shown} {max(rates) / 1e6:10.2f}"


def wrong(rate: float) -> Draw:
    return lambda draw, count: (draw.random(count) < rate).astype(float)


def normal(mean: float) -> Draw:
    return lambda draw, count: draw.normal(mean, size=count)


def beta(one: float, other: float) -> Draw:
    return lambda draw, count: draw.beta(one, other, size=count)


def remembering(draw: np.random.Generator, count: int) -> Any:
    """An autocorrelation of 0.5."""
    values = draw.normal(size=count)
    for place in range(1, count):
        values[place] += 0.5 * values[place - 1]
    return values


def apart(make: Callable[[Any], Detector], quiet: Draw) -> float:
    """Observations between false alarms, of 100 streams of 10 000 after a reference of 1000."""
    alarms = 0
    for seed in range(100):
        draw = np.random.default_rng([seed, 13])
        alarms += len(make(quiet(draw, 1000)).update_many(quiet(draw, 10_000)))
    return 1e6 / alarms if alarms else math.inf


def found(make: Callable[[Any], Detector], before: Draw, after: Draw) -> str:
    """The median delay of 100 changes after 1000 quiet observations; how many streams alarmed before it."""
    delays, early = [], 0
    for seed in range(100):
        draw = np.random.default_rng([seed, 9])
        detector = make(before(draw, 1000))
        alarms = detector.update_many(np.concatenate([before(draw, 1000), after(draw, 2000)]))
        early += bool((alarms < 1000).any())
        late = alarms[alarms >= 1000]
        delays.append(int(late[0]) - 999 if len(late) else math.inf)
    return f"{statistics.median(delays):6g} ({early:2d})"


def quality() -> None:
    print(
        "\nmedian delay (streams of 100 with an alarm in the 1000 before), observations between false alarms:"
    )
    rates: list[tuple[str, Callable[[Any], Detector]]] = [
        ("ADWIN", lambda _: ADWIN()),
        ("PageHinkley", lambda _: PageHinkley()),
        ("DDM", lambda _: DDM()),
        ("HDDMA", lambda _: HDDMA()),
        ("HDDMW", lambda _: HDDMW()),
        ("EShiryaevRoberts", EShiryaevRoberts.from_reference),
    ]
    print(f"{'errors':26s} .1 to .2      .1 to .3     .01 to .05    at .1    at .01     at .3")
    for name, make in rates:
        rises = [
            found(make, wrong(one), wrong(other)) for one, other in ((0.1, 0.2), (0.1, 0.3), (0.01, 0.05))
        ]
        lengths = [apart(make, wrong(rate)) for rate in (0.1, 0.01, 0.3)]
        print(f"{name:24s} {'   '.join(rises)} {' '.join(f'{one:9.0f}' for one in lengths)}")
    means: list[tuple[str, Callable[[Any], Detector]]] = [
        *rates[:2],
        ("CUSUM", CUSUM),
        ("ConformalShiryaevRoberts", ConformalShiryaevRoberts),
    ]
    print(f"{'scores':24s} normal +.5   normal +1    Beta(6, 3)   normal      t(3) Beta(8, 2)  AR(1) .5")
    for name, make in means:
        moves = [found(make, normal(0.0), normal(0.5)), found(make, normal(0.0), normal(1.0))]
        moves.append(found(make, beta(8, 2), beta(6, 3)))
        quiet: list[Draw] = [
            normal(0.0),
            lambda draw, count: draw.standard_t(3, count),
            beta(8, 2),
            remembering,
        ]
        lengths = [apart(make, one) for one in quiet]
        print(f"{name:24s} {'   '.join(moves)} {' '.join(f'{one:9.0f}' for one in lengths)}")


def main() -> None:
    draw = np.random.default_rng(0)
    steady, failed = 0.1 * draw.normal(size=SPEED), wrong(0.1)(draw, SPEED)
    river: Any = None
    try:
        river = importlib.import_module("river.drift")
        version = importlib.import_module("river").__version__
    except ImportError:
        print("river is not installed: only our own speed is shown\n")
    rows: list[tuple[Any, str, list[dict[str, Any]], Callable[[], Iterator[Any]], Any]] = [
        (ADWIN, "ADWIN", WINDOWS, scores, steady),
        (PageHinkley, "PageHinkley", SCORES, scores, steady),
        (DDM, "binary.DDM", RATES, errors, failed),
        (HDDMA, "binary.HDDMA", AVERAGES, errors, failed),
        (HDDMW, "binary.HDDMW", AVERAGES, errors, failed),
    ]
    theirs: dict[str, Any] = {}
    if river is not None:
        print(f"alarms and warnings where river {version} has them:")
        for ours, name, settings, streams, _ in rows:
            module = river.binary if "." in name else river
            theirs[name] = getattr(module, name.rpartition(".")[2])
            print(f"  {ours.__name__:12s} {compared(ours, theirs[name], settings, streams())}")
        print()
    print(f"M/s: river's in a loop that notices its alarms, ours in batches of {BATCH}")
    print(f"{'':12s} us/value    river  river, M/s  ours, M/s")
    for ours, name, _, _, data in rows:
        print(f"{ours.__name__:12s} {speed(ours, theirs.get(name), data)}")
    print(f"{'CUSUM':12s} {speed(lambda: CUSUM(steady[:1000]), None, steady)}")
    quality()


if __name__ == "__main__":
    main()
