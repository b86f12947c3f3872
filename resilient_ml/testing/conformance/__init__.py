"""Prove a policy, of this library or your own: every promise that every policy keeps, in every colour.

>>> from resilient_ml import Bulkhead
>>> from resilient_ml.testing import conformance
>>> conformance.check(lambda: Bulkhead(4, queue=4), only=["answers", "permits"]).ok
True
"""

from .suite import PROMISES, Check, check, checks, run
from .verdicts import ConformanceError, Report, Verdict

__all__ = ["PROMISES", "Check", "ConformanceError", "Report", "Verdict", "check", "checks", "run"]
