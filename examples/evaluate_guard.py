"""What does the guard buy? A recommender with and without it, in three minutes of bad luck.

The minutes are virtual and take a few seconds. Run it from anywhere; it downloads nothing, prints a table,
and writes evaluate_guard.html, a page with plots::

    python examples/evaluate_guard.py [--seconds 180] [--seed 7] [--out evaluate_guard.html]

Read it from the top: the models, the guard, the traffic, the faults, and what is asked of the result.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from resilient_ml import Bulkhead, CircuitBreaker, Fallback, InvalidOutput, Pipeline, Retry, Timeout
from resilient_ml.evaluate import KPI, Reply, Request, Workload, evaluate
from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan

Array = npt.NDArray[np.float64]
Recommend = Callable[[int, str], Array]

ITEMS = 50
SHOPS = ("books", "shoes", "tea")


# 1. The models: one that knows each customer, and one that knows only what sells in a shop.

rng = np.random.default_rng(0)
TASTES = rng.normal(size=(200, ITEMS))
POPULAR = {shop: rng.normal(size=ITEMS) + TASTES.mean(axis=0) for shop in SHOPS}


def recommend(customer: int, shop: str) -> Array:
    """A score for each item: float64, shape (items,). It takes 20 ms on its server."""
    time.sleep(0.02)
    scores: Array = TASTES[customer] + 0.2 * POPULAR[shop]
    return scores


def best_sellers(customer: int, shop: str) -> Array:
    """The same for every customer of a shop, and at once."""
    scores: Array = POPULAR[shop]
    return scores


# 2. The guard. The check stands inside, so that an answer which is no number is retried and counted.


def guarded(model: Recommend) -> Recommend:
    """*model* as callers get it."""

    def checked(customer: int, shop: str) -> Array:
        scores = model(customer, shop)
        if not np.isfinite(scores).all():
            raise InvalidOutput("the scores are not finite")
        return scores

    guard = Pipeline(
        Fallback(best_sellers),
        Retry(attempts=3),
        CircuitBreaker(open_seconds=0.5, open_seconds_max=1.0, name="recommender"),
        Bulkhead(32),
        Timeout(0.5),
    )
    return guard(checked)


# 3. The traffic, and what goes wrong in it.

REQUESTS = [
    Request(
        (customer, SHOPS[customer % 3]), label=int(np.argmax(TASTES[customer])), group=SHOPS[customer % 3]
    )
    for customer in range(len(TASTES))
]


def bad_luck(seconds: float) -> FaultPlan:
    """Blips and garbage all the time, a hang now and then, flapping, and an outage."""
    return FaultPlan(
        faults.latency(faults.lognormal(median=0.01, sigma=1.0)),
        faults.error(ConnectionError).with_probability(0.03),
        faults.nan().with_probability(0.02),
        faults.hang().with_probability(0.003),
        faults.error("overload", retry_after=0.2).every(seconds / 4, lasting=2.0, offset=seconds / 8),
        faults.error(ConnectionError).between(0.45 * seconds, 0.55 * seconds),
    )


# 4. What an answer is worth: it is right if what the customer likes is on the first page.


def in_the_first_ten(scores: Array, liked: int) -> bool:
    """Whether the item that the customer likes best is among the ten that are shown."""
    return liked in np.argsort(scores)[-10:]


def sales(reply: Reply) -> float:
    """EUR that a reply brings in; nobody waits longer than two seconds."""
    if not reply.ok or reply.waited > 2.0 or not np.isfinite(reply.answer).all():
        return 0.0
    return 0.40 if reply.right else 0.15


def main() -> None:
    """Evaluate, print the table, write the page."""
    parser = argparse.ArgumentParser(description="What does the guard buy?")
    parser.add_argument("--seconds", type=float, default=180.0, help="of traffic, in virtual time")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("evaluate_guard.html"))
    options = parser.parse_args()

    began = time.perf_counter()
    evaluation = evaluate(
        recommend,
        {"naked": None, "guarded": guarded},
        workload=Workload.poisson(REQUESTS, rate=20.0, seconds=options.seconds),
        faults=bad_luck(options.seconds),
        seed=options.seed,
        judge=in_the_first_ten,
        kpis=[KPI("sales", sales, better="higher", unit="EUR", text="what the answers bring in", total=True)],
        price=0.002,
        in_time=2.0,
        virtual=True,
        objectives=[
            "guarded.availability >= 99.9%",
            "guarded.right beats naked",
            "guarded.sales beats naked",
            "guarded.hung == 0",
            "guarded.amplification <= 1.2",
        ],
    )
    print(evaluation)
    evaluation.to_html(options.out)
    took = time.perf_counter() - began
    print(f"\n{options.seconds:g} s of traffic, four times over, took {took:.1f} s. The plots: {options.out}")
    evaluation.check()


if __name__ == "__main__":
    main()
