"""Fault tolerance, measured: the same requests under the same faults, with and without protection.

>>> from resilient_ml import Retry
>>> from resilient_ml.evaluate import Workload, evaluate
>>> from resilient_ml.testing import faults
>>> plan = faults.FaultPlan(faults.error(ConnectionError).with_probability(0.1))
>>> workload = Workload.poisson(["a", "bb", "ccc"], rate=50, seconds=20)
>>> evaluation = evaluate(len, Retry(attempts=3), workload=workload, faults=plan, seed=7, virtual=True)
>>> naked, guarded = (arm.kpis["availability"].value for arm in evaluation.arms.values())
>>> naked < 0.95 < 0.99 < guarded
True

``print(evaluation)`` shows a table, ``evaluation.check()`` fails a test that misses its objectives,
``evaluation.to_json(path)`` and ``evaluation.to_html(path)`` keep the result.
"""

from .evaluating import evaluate
from .evaluation import Evaluation
from .facts import Facts
from .intervals import Interval
from .judging import same
from .kpis import KPI, Difference
from .leaks import Leaks
from .objectives import Finding, Objective, ObjectivesMissed
from .outages import Outage, Span
from .replies import Replies, Reply
from .requests import Request, request_of
from .results import Arm, Comparison
from .running import Run
from .watching import StateSpan
from .workload import Workload

__all__ = [
    "KPI",
    "Arm",
    "Comparison",
    "Difference",
    "Evaluation",
    "Facts",
    "Finding",
    "Interval",
    "Leaks",
    "Objective",
    "ObjectivesMissed",
    "Outage",
    "Replies",
    "Reply",
    "Request",
    "Run",
    "Span",
    "StateSpan",
    "Workload",
    "evaluate",
    "request_of",
    "same",
]
