"""Replies and runs made by hand, for the tests of what is computed from them."""

import time
from collections import Counter

from resilient_ml import CircuitBreaker, ConstantBackoff, Fallback, Pipeline, Retry
from resilient_ml.evaluate import KPI, Facts, Leaks, Replies, Reply, Request, Run, Workload, evaluate
from resilient_ml.evaluate.blocks import Blocks
from resilient_ml.evaluate.results import Arm
from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan


def reply(number=0, *, at=None, waited=0.1, label=None, group=None, **fields):
    """A good answer, unless *fields* say otherwise."""
    arrived = float(number) if at is None else at
    fields = {"status": "ok", "attempts": 1, **fields}
    request = Request((number,), label=label, group=group)
    return Reply(number, request, arrived, started=arrived, ended=arrived + waited, **fields)


def replies(*rows, seconds=None):
    return Replies(rows, float(len(rows)) if seconds is None else seconds)


def facts(rows, **fields):
    fields = {"calls": sum(row.attempts for row in rows), **fields}
    return Facts(rows, blocks=Blocks(len(rows), seed=0, resamples=199), **fields)


def run(rows, **fields):
    fields = {
        "calls": len(rows),
        "states": (),
        "events": Counter(),
        "leaks": Leaks(0, 0, 0),
        "seconds": 1.0,
        **fields,
    }
    return Run(rows, **fields)


def arm(name, kpis, rows=None):
    rows = replies(reply()) if rows is None else rows
    return Arm(name, "made by hand", run(rows), facts(rows), kpis)


def shop_guard():
    return Pipeline(
        Fallback(-1),
        Retry(attempts=2, backoff=ConstantBackoff(0.01)),
        CircuitBreaker(consecutive_failures=3, open_seconds=0.5, open_seconds_max=0.5, name="<shop> & $x$"),
    )


REQUESTS = [Request((number,), label=number * 2, group="ab"[number % 2]) for number in range(40)]


def shop_evaluation(**fields):
    """A small evaluation with an outage, a breaker, groups, objectives and a KPI of the user's own."""
    plan = FaultPlan(faults.error(ConnectionError).between(4.0, 6.0))
    fields = {
        "workload": Workload.constant(REQUESTS, rate=10.0, seconds=10.0),
        "faults": plan,
        "seed": 7,
        "virtual": True,
        "price": 0.25,
        "kpis": [KPI("stars", lambda row: 5 if row.right else 1, better="higher", text="what <users> say")],
        "objectives": ["guarded.availability == 100%", "guarded.wrong <= 1%"],
        **fields,
    }
    return evaluate(sell, {"naked": None, "guarded": shop_guard}, **fields)


def sell(number):
    """A model of a shop."""
    time.sleep(0.2 if number % 9 == 0 else 0.02)
    return number * 2
