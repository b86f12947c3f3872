"""Deterministic simulation: the very policies, thousands of clients and model servers, on one virtual clock.

>>> from resilient_ml import Bulkhead, CircuitBreaker, Pipeline, Retry, Timeout
>>> server = ModelServer(workers=20, service=Exponential(0.020), incidents=[Slowdown(60, 10, factor=4)])
>>> def guard():
...     return Pipeline(Retry(), CircuitBreaker(), Bulkhead(40), Timeout(1.0))
>>> result = simulate(Clients(Poisson(750), server, guard), seconds=120, seed=7)
>>> result.recovered_after(70)  # from the end of the slowdown
1.0
"""

from ..distributions import Distribution, Exponential, Lognormal, Pareto, Uniform
from .arrivals import Constant, Poisson, Ramp, Steps, Users
from .clients import Clients
from .current import sleep
from .incidents import ColdStart, Outage, Restart, Slowdown
from .requests import Requests
from .result import Result, ServerLog, Timeline
from .running import simulate
from .server import Batching, ModelServer, Replicas, ServerBusy, ServerFailed

__all__ = [
    "Batching",
    "Clients",
    "ColdStart",
    "Constant",
    "Distribution",
    "Exponential",
    "Lognormal",
    "ModelServer",
    "Outage",
    "Pareto",
    "Poisson",
    "Ramp",
    "Replicas",
    "Requests",
    "Restart",
    "Result",
    "ServerBusy",
    "ServerFailed",
    "ServerLog",
    "Slowdown",
    "Steps",
    "Timeline",
    "Uniform",
    "Users",
    "simulate",
    "sleep",
]
