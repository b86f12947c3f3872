"""A real classifier behind a bad backend: called naked, and called through policies, under the same bad luck.

Run it from anywhere; it takes about half a minute, downloads nothing, and writes quickstart.png::

    python examples/quickstart.py [--seconds 20] [--seed 7] [--out quickstart.png]

Read it from the top: the models, the policies around them, the traffic, and both ways at once.
``faulty_backend`` beside it makes the bad luck, ``quickstart_report`` shows what came of it.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
import quickstart_report as report
from faulty_backend import Array, FaultyBackend, Request, Trace

from resilient_ml import (
    Backoff,
    Bulkhead,
    CircuitBreaker,
    Fallback,
    InvalidOutput,
    Kind,
    Outcome,
    Pipeline,
    Retry,
    Timeout,
    events,
)

PER_SECOND = 60
CLIENTS = 8

Predict = Callable[[Request], Array]


# 1. The models: one worth asking, and a smaller one that can stand in for it.


def train() -> tuple[Any, Any, Array, Array]:
    """A good and a small model trained on half of scikit-learn's digits; the other half, to ask about."""
    from sklearn.datasets import load_digits
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.model_selection import train_test_split
    from sklearn.svm import SVC

    images, digits = load_digits(return_X_y=True)
    seen, unseen, seen_digits, unseen_digits = train_test_split(
        images / 16, digits, test_size=0.5, random_state=0, stratify=digits
    )
    good = SVC(C=10).fit(seen, seen_digits)
    small = LinearDiscriminantAnalysis().fit(seen, seen_digits)
    print(f"The model, a support vector machine: {good.score(unseen, unseen_digits):.1%} right")
    print(f"The fallback, a linear model:        {small.score(unseen, unseen_digits):.1%} right")
    print(f"on {len(unseen)} handwritten digits that neither has seen.\n", flush=True)
    return good, small, unseen, unseen_digits


def scores_of(model: Any) -> Predict:
    """*model* as a function of one request: ten scores, the highest for the digit it believes in."""

    def predict(request: Request) -> Array:
        return model.decision_function(request.image[np.newaxis])[0]  # type: ignore[no-any-return]

    return predict


# 2. The policies. This is all that a caller adds.


def protect(small_model: Predict) -> Pipeline:
    """What stands between the callers and the backend, outermost first."""
    return Pipeline(
        Fallback(small_model),  # when all else fails: the small model's answer, marked as degraded
        Retry(attempts=3, backoff=Backoff(base=0.02)),  # blips pass
        CircuitBreaker(
            open_seconds=0.5, open_seconds_max=1.0
        ),  # leave a dead backend alone, look in at times
        Bulkhead(16),  # no more than this many calls inside, the hung ones included
        Timeout(0.25),  # nobody waits longer than this for one attempt
    )


def checked(predict: Predict) -> Predict:
    """*predict*, where an answer that is no number is a failure: retried, counted, and never served."""

    def predict_or_raise(request: Request) -> Array:
        scores = predict(request)
        if not np.isfinite(scores).all():
            raise InvalidOutput("the scores are not finite")
        return scores

    return predict_or_raise


# 3. The traffic: requests arrive when they arrive, and a few client threads serve them.


@dataclass(frozen=True)
class Reply:
    """What a caller got: a digit or none, and after how long.

    ``waited`` counts from the moment the request arrived, so standing in line behind callers that are stuck
    counts too.
    """

    request: Request
    waited: float
    digit: int | None
    garbage: bool
    degraded: bool
    timeouts: int

    @classmethod
    def of(cls, request: Request, outcome: Outcome[Array], waited: float) -> Reply:
        """Read *outcome* as most code would: the digit with the highest score."""
        scores = outcome.value if outcome.ok else None
        return cls(
            request,
            waited,
            digit=None if scores is None else int(np.argmax(scores)),  # of ten NaN, numpy says that is 0
            garbage=scores is not None and not np.isfinite(scores).all(),
            degraded=outcome.degraded,
            timeouts=sum(attempt.kind is Kind.TIMEOUT for attempt in outcome.attempts),
        )


class Traffic:
    """All requests of a trace, sent through *guard* to *predict* by client threads of its own."""

    def __init__(
        self,
        guard: Pipeline,
        predict: Predict,
        *,
        began: float,
    ) -> None:
        self.replies: list[Reply] = []
        self.clients: list[threading.Thread] = []
        self._guard = guard
        self._predict = predict
        self._began = began
        self._line: SimpleQueue[Request] = SimpleQueue()

    def start(self, requests: list[Request], clients: int) -> None:
        """Set the clients to work."""
        for request in requests:
            self._line.put(request)
        self.clients = [threading.Thread(target=self._serve, daemon=True) for _ in range(clients)]
        for client in self.clients:
            client.start()

    def _serve(self) -> None:
        while True:
            try:
                request = self._line.get_nowait()
            except Empty:
                return
            arrives = self._began + request.arrives
            time.sleep(max(0.0, arrives - time.monotonic()))
            outcome = self._guard.outcome(self._predict, request)
            self.replies.append(Reply.of(request, outcome, time.monotonic() - arrives))


# 4. Both ways at once, under the same bad luck.


def main() -> None:
    """Train, serve both ways, report."""
    parser = argparse.ArgumentParser(description="The same model and the same faults, naked and guarded.")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long requests arrive (default 20)")
    parser.add_argument("--seed", type=int, default=7, help="whose luck (default 7)")
    parser.add_argument("--out", type=Path, default=Path("quickstart.png"), help="where the plot is written")
    options = parser.parse_args()
    if not (options.seconds >= 5 and options.seed >= 0 and options.out.resolve().parent.is_dir()):
        parser.error("--seconds must be at least 5, --seed at least 0, and --out in a folder that exists")

    good, small, images, digits = train()
    trace = Trace.draw(options.seed, options.seconds, PER_SECOND)
    asked = np.random.default_rng(options.seed).integers(len(images), size=len(trace.arrives))
    requests = [
        Request(number, arrives, images[row], int(digits[row]))
        for number, (arrives, row) in enumerate(zip(trace.arrives, asked, strict=True))
    ]

    began = time.monotonic() + 0.1
    backends = [FaultyBackend(scores_of(good), trace, began=began) for _ in ("naked", "guarded")]
    naked = Traffic(Pipeline(), backends[0], began=began)  # no policies: every fault reaches the caller
    guarded = Traffic(protect(scores_of(small)), checked(backends[1]), began=began)

    happened: list[events.Event] = []
    with events.subscribe(happened.append):
        for traffic in (naked, guarded):
            traffic.start(requests, CLIENTS)
        report.watch({"naked": naked, "guarded": guarded}, len(requests), happened, began)

    scores = [report.Score.of(t.replies, b) for t, b in zip((naked, guarded), backends, strict=True)]
    report.show_table(*scores)
    spans = report.breaker_spans(happened, began, options.seconds)
    report.draw(options.out, {"naked": naked.replies, "guarded": guarded.replies}, trace.outage, spans)
    print("The backend was down from {:.1f} s to {:.1f} s.".format(*trace.outage))
    print(f"The plot is in {options.out}")


if __name__ == "__main__":
    main()
