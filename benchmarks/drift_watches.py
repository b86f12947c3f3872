"""Detectors of drift, ours and the peers', as the benchmark of delays watches streams with them."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from drift_streams import Floats, Kind

from resilient_ml.drift import Classes, Detector, Losses, Numbers, Signal, Vectors

LIBRARIES = ("river", "frouros")


class Watch(ABC):
    """A detector that begins anew, with the same reference, after each alarm."""

    @abstractmethod
    def count(self, values: Floats) -> int:
        """Feed *values*; how often it alarmed."""

    @abstractmethod
    def first(self, values: Floats) -> int:
        """Feed *values* as far as it takes to find the first alarm; its position, -1 if there is none."""


class Ours(Watch):
    """It begins anew by itself, and its reference keeps what it has gained."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def count(self, values: Floats) -> int:
        return len(self._detector.update_many(values))

    def first(self, values: Floats) -> int:
        for begin in range(0, len(values), 512):
            alarms = self._detector.update_many(values[begin : begin + 512])
            if len(alarms):
                return begin + int(alarms[0])
        return -1


class Peer(Watch):
    """One observation at a time; *prepare* makes of them what the peer expects."""

    def __init__(self, make: Callable[[], Any], prepare: Callable[[Floats], Any]) -> None:
        self._make, self._prepare = make, prepare
        self._detector = make()

    def count(self, values: Floats) -> int:
        alarms, begin = 0, 0
        while (place := self.first(values[begin:])) >= 0:
            alarms, begin = alarms + 1, begin + place + 1
        return alarms

    def first(self, values: Floats) -> int:
        for begin in range(0, len(values), 512):
            place = self._within(self._prepare(values[begin : begin + 512]).tolist())
            if place >= 0:
                self._detector = self._make()
                return begin + place
        return -1

    @abstractmethod
    def _within(self, values: list[float]) -> int:
        """As `first`, of a few."""


class River(Peer):
    def _within(self, values: list[float]) -> int:
        detector = self._detector
        for place, value in enumerate(values):
            detector.update(value)
            if detector.drift_detected:
                return place
        return -1


class Frouros(Peer):
    def _within(self, values: list[float]) -> int:
        detector = self._detector
        for place, value in enumerate(values):
            detector.update(value=value)
            if detector.drift:
                return place
        return -1


@dataclass(frozen=True, slots=True)
class Knob:
    """What a detector is tuned with.

    Attributes:
        low: Its least value.
        high: Its greatest.
        rarer: Whether alarms are rarer the greater it is.
        log: Whether it is a matter of factors.
        step: The least step that may change anything, as a share of the way from the least to the greatest.
    """

    low: float
    high: float
    rarer: bool
    log: bool = True
    step: float = 0.002

    def at(self, share: float) -> float:
        """The value so far, 0 to 1, on the way to the one with the rarest alarms."""
        way = share if self.rarer else 1.0 - share
        if self.log:
            return float(self.low * (self.high / self.low) ** way)
        return self.low + (self.high - self.low) * way


@dataclass(frozen=True, slots=True)
class Entry:
    """A detector.

    Attributes:
        name: The peers' begin with the name of their library.
        kinds: Which streams it is for.
        make: A watch by a reference and the value of the knob; None is the default, for ours the run length
            that is asked for.
        knob: What it is tuned with.
        ours: Whether it is ours.
        share: How much of the observations it is given, as it is slow.
    """

    name: str
    kinds: tuple[Kind, ...]
    make: Callable[[Floats, float | None], Watch]
    knob: Knob
    ours: bool = False
    share: float = 1.0


def ours(arl: float) -> list[Entry]:
    """What a DriftDetector makes for each kind of signal: thinned, where the reference has memory."""

    def entry(name: str, signal: Signal, kind: Kind) -> Entry:
        def made(reference: Floats, knob: float | None) -> Watch:
            return Ours(signal.detector(reference, arl if knob is None else knob))

        return Entry(name, (kind,), made, Knob(2.0, 1e6 * arl, rarer=True), ours=True)

    return [
        entry("EShiryaevRoberts", Losses(), "errors"),
        entry("WhitenedShiryaevRoberts", Numbers("score"), "scores"),
        entry("Combined", Numbers("score", shape=True), "scores"),
        entry("CategoricalShiryaevRoberts", Classes("label"), "classes"),
        entry("RandomFeatureAverages", Vectors("features"), "rows"),
    ]


def same(values: Floats) -> Floats:
    return values


def right(values: Floats) -> Floats:
    """What is right instead of what is wrong, as FHDDM alarms when its input falls."""
    return 1.0 - values


def whole(values: Floats) -> Any:
    return values.astype(np.intp)


Made = Callable[..., Any]
"""A peer by the value of its knob; without one at its defaults."""


def entries_of(
    library: str, watch: type[Peer], made: dict[str, tuple[Made, Knob, tuple[Kind, ...]]]
) -> list[Entry]:
    def entry(name: str, make: Made, knob: Knob, kinds: tuple[Kind, ...]) -> Entry:
        prepare = right if name == "FHDDM" else whole if name == "EDDM" else same

        def watched(reference: Floats, value: float | None) -> Watch:
            return watch(make if value is None else lambda: make(value), prepare)

        return Entry(f"{library} {name}", kinds, watched, knob, share=SLOW.get(name, 1.0))

    return [entry(name, *rest) for name, rest in made.items()]


BOTH: tuple[Kind, ...] = ("errors", "scores")
ERRORS: tuple[Kind, ...] = ("errors",)
DELTA, PROPER_DELTA = Knob(1e-12, 2.0, rarer=False), Knob(1e-12, 0.999, rarer=False)
CHANCE = Knob(1e-14, 0.5, rarer=False)
LAMBDA = Knob(0.05, 500.0, rarer=True)
DEVIATIONS = Knob(1.0, 100.0, rarer=True)
DISTANCE = Knob(0.2, 0.999, rarer=False, log=False)
KS_CHANCE = Knob(1e-7, 0.05, rarer=False, step=0.05)
"""The distance of 30 values from 30 is a whole number of thirtieths."""
MEAN_CHANCE = Knob(1e-14, 0.5, rarer=False, step=0.015)
"""And the mean of 100 error flags one of hundredths."""
SLOW = {"HDDM_A": 0.25, "HDDM_W": 0.25, "KSWIN": 0.06}


def tuned_by(build: Callable[..., Any], settings: Callable[[float], dict[str, float]], **always: Any) -> Made:
    """What *build* makes with the settings of a knob, or without."""
    return lambda *knob: build(**always, **(settings(knob[0]) if knob else {}))


def river() -> list[Entry]:
    """Those of river, none where it is not installed."""
    try:
        drift: Any = importlib.import_module("river.drift")
        kswin: Any = importlib.import_module("river.drift.kswin")
    except ImportError:
        return []
    if not isinstance(kswin.stats, Tabulated):
        kswin.stats = Tabulated(kswin.stats.ks_2samp)
    binary = drift.binary
    threshold = tuned_by(drift.PageHinkley, lambda knob: {"threshold": knob})
    deviations = tuned_by(binary.DDM, lambda knob: {"drift_threshold": knob})
    distance = tuned_by(binary.EDDM, lambda knob: {"beta": knob, "alpha": max(knob, 0.95)})
    level = tuned_by(binary.FHDDM, lambda knob: {"confidence_level": knob})
    made: dict[str, tuple[Made, Knob, tuple[Kind, ...]]] = {
        "ADWIN": (drift.ADWIN, DELTA, BOTH),
        "PageHinkley": (threshold, LAMBDA, BOTH),
        "KSWIN": (partial(drift.KSWIN, seed=1), KS_CHANCE, ("scores",)),
        "DDM": (deviations, DEVIATIONS, ERRORS),
        "EDDM": (distance, DISTANCE, ERRORS),
        "HDDM_A": (binary.HDDMA, CHANCE, ERRORS),
        "HDDM_W": (binary.HDDMW, CHANCE, ERRORS),
        "FHDDM": (level, MEAN_CHANCE, ERRORS),
    }
    return entries_of("river", River, made)


def frouros() -> list[Entry]:
    """Those of frouros, none where it is not installed; its ADWIN takes no negative value."""
    try:
        library: Any = importlib.import_module("frouros.detectors.concept_drift")
        kswin: Any = importlib.import_module("frouros.detectors.concept_drift.streaming.window_based.kswin")
    except ImportError:
        return []
    kswin.ks_2samp = getattr(kswin.ks_2samp, "__self__", Tabulated(kswin.ks_2samp)).ks_2samp

    def of(name: str, settings: Callable[[float], dict[str, float]], **always: Any) -> Made:
        def build(**given: float) -> Any:
            return getattr(library, name)(config=getattr(library, f"{name}Config")(**given))

        return tuned_by(build, settings, **always)

    # A warning that is not before the alarm is refused.
    chances = {
        name: of(name, lambda knob: {"alpha_d": knob, "alpha_w": max(0.005, 1.5 * knob)})
        for name in ("HDDMA", "HDDMW")
    }
    deviations = of("DDM", lambda knob: {"drift_level": knob, "warning_level": knob / 1.5})
    distance = of("EDDM", lambda knob: {"beta": knob, "alpha": max(knob + 0.0005, 0.95)})
    made: dict[str, tuple[Made, Knob, tuple[Kind, ...]]] = {
        "ADWIN": (of("ADWIN", lambda knob: {"delta": knob}), PROPER_DELTA, ERRORS),
        "PageHinkley": (of("PageHinkley", lambda knob: {"lambda_": knob}), LAMBDA, BOTH),
        "KSWIN": (of("KSWIN", lambda knob: {"alpha": knob}, seed=1), KS_CHANCE, ("scores",)),
        "DDM": (deviations, DEVIATIONS, ERRORS),
        "EDDM": (distance, DISTANCE, ERRORS),
        "HDDM_A": (chances["HDDMA"], CHANCE, ERRORS),
        "HDDM_W": (chances["HDDMW"], CHANCE, ERRORS),
    }
    return entries_of("frouros", Frouros, made)


Sample = Sequence[float] | Floats


class Tabulated:
    """Kolmogorov and Smirnov's test of two samples of one size: asked once for each distance that they have.

    River's KSWIN asks scipy at every observation, a third of a millisecond each. The chance depends on the
    distance alone, of which 30 values against 30 have 31. Samples have no ties here.
    """

    def __init__(self, test: Callable[..., Any]) -> None:
        self._test = test
        self._known: dict[tuple[int, int], Any] = {}
        self._steps: dict[int, Any] = {}

    def ks_2samp(self, data1: Sample, data2: Sample, **how: str) -> Any:
        size = len(data1)
        if len(data2) != size:
            return self._test(data1, data2, **how)
        steps = self._steps.setdefault(size, np.repeat([1, -1], size))
        order = np.concatenate([data1, data2]).argsort()
        distance = int(np.abs(steps[order].cumsum()).max())
        found = self._known.get((size, distance))
        if found is None:
            found = self._known[size, distance] = tuple(self._test(data1, data2, **how))
        return found


def entries(arl: float, *, libraries: tuple[str, ...]) -> dict[str, Entry]:
    """Ours, asked for *arl* observations between false alarms, and those of the *libraries* installed."""
    peers = {"river": river, "frouros": frouros}
    found = ours(arl) + [entry for library in libraries for entry in peers[library]()]
    return {entry.name: entry for entry in found}
