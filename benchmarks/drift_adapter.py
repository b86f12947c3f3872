"""Our detectors as the referee of drift detectors takes them: `REGISTRY`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from resilient_ml.drift import (
    CategoricalShiryaevRoberts,
    ConformalShiryaevRoberts,
    Detector,
    ECusum,
    EShiryaevRoberts,
    RandomFeatureAverages,
    WhitenedShiryaevRoberts,
    WindowedKS,
)

ARL = 10_000


class Adapter:
    """The first alarm of a stretch, which is all that the referee asks for."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def update_many(self, values: Any) -> int | None:
        rows = np.asarray(values, dtype=np.float64)
        for begin in range(0, len(rows), 512):
            alarms = self._detector.update_many(rows[begin : begin + 512])
            if len(alarms):
                return begin + int(alarms[0])
        return None

    def update(self, value: Any) -> bool:
        return self.update_many([value]) is not None

    def reset(self) -> None:
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


REGISTRY = [
    entry("EShiryaevRoberts", "bern", EShiryaevRoberts.from_reference),
    entry("ECusum", "bern", ECusum.from_reference),
    entry("ConformalShiryaevRoberts", "real", ConformalShiryaevRoberts),
    entry("WhitenedShiryaevRoberts", "real", WhitenedShiryaevRoberts),
    entry("WindowedKS", "real", WindowedKS),
    entry("CategoricalShiryaevRoberts", "cat", CategoricalShiryaevRoberts),
    entry("RandomFeatureAverages", "multi", RandomFeatureAverages),
]
