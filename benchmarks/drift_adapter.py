"""Our detectors as the referee of drift detectors takes them: `REGISTRY`.

They are those that a `DriftDetector` chooses for each kind of signal, and `ECusum`. Left out is
`ConformalShiryaevRoberts`, which the whitened one is where nothing is remembered.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from resilient_ml.drift import (
    Classes,
    Detector,
    ECusum,
    Losses,
    Numbers,
    Signal,
    Thinned,
    Vectors,
    WhitenedShiryaevRoberts,
)

ARL = 10_000


class Adapter:
    """The first alarm of a stretch, which is all that the referee asks for.

    It resets what has alarmed. Ours begin anew by themselves then, and keep what their reference has gained.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def update_many(self, values: Any) -> int | None:
        rows = np.asarray(values, dtype=np.float64)
        for begin in range(0, len(rows), 512):
            before = copy.deepcopy(self._detector)
            alarms = self._detector.update_many(rows[begin : begin + 512])
            if len(alarms):  # what comes after it will be shown once more
                self._detector = before
                before.update_many(rows[begin : begin + int(alarms[0]) + 1])
                return begin + int(alarms[0])
        return None

    def update(self, value: Any) -> bool:
        return self.update_many([value]) is not None

    def reset(self) -> None:
        if not self._detector.alarmed_last:
            self._detector.reset()


def entry(name: str, kind: str, make: Callable[..., Detector], knob: float = ARL) -> dict[str, Any]:
    """*make* takes the reference and the run length; the knob is the run length asked for."""

    def made(ref: Any = None, knob: float = knob) -> Adapter:
        return Adapter(make(ref, arl=knob))

    return {
        "name": f"resilient_ml.{name}",
        "kinds": {kind},
        "make": made,
        "needs_ref": True,
        "knob": (50.0, 1e6, True, 1),
    }


def watching(signal: Signal) -> Callable[..., Detector]:
    """The detector of *signal*, which depends on whether the reference has memory."""
    return lambda ref, arl: signal.detector(np.asarray(ref, dtype=np.float64), arl)


REGISTRY = [
    entry("EShiryaevRoberts", "bern", watching(Losses())),
    entry("ECusum", "bern", partial(Thinned, lambda ref, arl: ECusum.from_reference(ref, arl=arl))),
    entry("WhitenedShiryaevRoberts", "real", WhitenedShiryaevRoberts),
    entry("Combined", "real", watching(Numbers("score", shape=True))),
    entry("CategoricalShiryaevRoberts", "cat", watching(Classes("class"))),
    entry("RandomFeatureAverages", "multi", watching(Vectors("row"))),
]
