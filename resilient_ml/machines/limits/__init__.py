"""Algorithms that find out how many calls a model can take at once: pure, one file each."""

from .aimd import AIMDLimit
from .envoy import EnvoyLimit
from .failsafe import FailsafeLimit
from .gradient import Gradient2Limit, GradientLimit
from .protocol import LimitAlgorithm
from .vegas import VegasLimit
from .waiting import WaitingLimit

__all__ = [
    "AIMDLimit",
    "EnvoyLimit",
    "FailsafeLimit",
    "Gradient2Limit",
    "GradientLimit",
    "LimitAlgorithm",
    "VegasLimit",
    "WaitingLimit",
]
