"""A model server that fails in the ways real ones do, and does it the same way each time it is asked to.

A :class:`Trace` is drawn once from a seed. It holds when each request arrives, what becomes of each time that
request is sent, and when the server is down altogether. Any number of backends can replay it, so two ways of
calling a model can be compared under the same bad luck.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

HANG_SECONDS = 3.5
"""A real hang may last for ever; here the connection breaks in the end, so that the naked run ends too."""


class Fate(Enum):
    """What becomes of one call."""

    ANSWERED = "answered"
    RESET = "the connection breaks"
    BUSY = "503 Service Unavailable, with a retry-after"
    HANG = "nothing comes back"
    SLOW = "the right answer, much too late"
    NAN = "an answer in time, and every score in it is NaN"


SHARES = {
    Fate.ANSWERED: 0.865,
    Fate.RESET: 0.04,
    Fate.BUSY: 0.02,
    Fate.HANG: 0.015,
    Fate.SLOW: 0.03,
    Fate.NAN: 0.03,
}
"""How often each happens while the server is up."""


class ServiceUnavailable(Exception):
    """A server's 503, as an HTTP client raises it: resilient_ml reads the status and the wait off it."""

    status_code = 503
    retry_after = 0.05


@dataclass(frozen=True)
class Request:
    """One picture to classify.

    Attributes:
        number: Which request of the trace this is; a retry sends the same number again.
        arrives: Seconds from the start, whether or not a client is free to take it then.
        image: float64, shape (pixels,).
        digit: What it shows; for the score alone, no model looks at it.
    """

    number: int
    arrives: float
    image: Array
    digit: int


@dataclass(frozen=True)
class Trace:
    """All the luck of one run.

    Attributes:
        arrives: For each request, the seconds from the start; ascending.
        fates: For each request, what becomes of the first, second, ... time it is sent.
        takes: For each request, the seconds that the first, second, ... of those calls takes.
        outage: The seconds between which the server is down.
    """

    arrives: list[float]
    fates: list[list[Fate]]
    takes: list[list[float]]
    outage: tuple[float, float]

    @classmethod
    def draw(cls, seed: int, seconds: float, per_second: float, sends: int = 3) -> Trace:
        """A trace of Poisson arrivals with an outage of a fifth of the time, just before the middle.

        >>> Trace.draw(7, seconds=20.0, per_second=60.0) == Trace.draw(7, seconds=20.0, per_second=60.0)
        True
        """
        rng = np.random.default_rng(seed)
        requests = round(seconds * per_second)
        fates = rng.choice(np.array(list(SHARES), dtype=object), (requests, sends), p=list(SHARES.values()))
        takes = rng.lognormal(np.log(0.010), 0.4, (requests, sends))
        takes[fates == Fate.SLOW] = rng.uniform(0.4, 1.2, np.count_nonzero(fates == Fate.SLOW))
        takes[fates == Fate.HANG] = HANG_SECONDS
        begins = seconds * rng.uniform(0.35, 0.45)
        return cls(
            arrives=np.sort(rng.uniform(0, seconds, requests)).tolist(),
            fates=fates.tolist(),
            takes=takes.tolist(),
            outage=(begins, begins + seconds / 5),
        )

    def down(self, seconds: float) -> bool:
        """Whether the server is down *seconds* after the start."""
        return self.outage[0] <= seconds < self.outage[1]


class FaultyBackend:
    """A model behind a bad connection: calling it may fail, hang, dawdle or answer nonsense, as *trace* says.

    Args:
        model: Answers a request with its scores.
        trace: What happens to each call.
        began: The instant, on ``time.monotonic``, that the trace counts from.
    """

    def __init__(
        self,
        model: Callable[[Request], Array],
        trace: Trace,
        *,
        began: float,
    ) -> None:
        self.calls = 0
        self.calls_while_down = 0
        self.hangs = 0
        self._model = model
        self._trace = trace
        self._began = began
        self._lock = threading.Lock()
        self._sent: Counter[int] = Counter()

    def __call__(self, request: Request) -> Array:
        """The model's scores for *request*, float64, shape (classes,), if all goes well."""
        fate, seconds = self._next(request.number)
        time.sleep(seconds)
        match fate:
            case None:
                raise ConnectionRefusedError("the backend is down")
            case Fate.RESET | Fate.HANG:
                raise ConnectionResetError("the backend dropped the connection")
            case Fate.BUSY:
                raise ServiceUnavailable("503 Service Unavailable")
            case Fate.NAN:
                return np.full_like(self._model(request), np.nan)
            case Fate.ANSWERED | Fate.SLOW:
                return self._model(request)

    def _next(self, number: int) -> tuple[Fate | None, float]:
        """What becomes of this call (None: the server is down) and how long it takes."""
        with self._lock:
            self.calls += 1
            if self._trace.down(time.monotonic() - self._began):
                self.calls_while_down += 1
                return None, 0.005
            nth = self._sent[number] % len(self._trace.fates[number])
            self._sent[number] += 1
            fate, seconds = self._trace.fates[number][nth], self._trace.takes[number][nth]
            self.hangs += fate is Fate.HANG
            return fate, seconds
