"""Keep a model answering: retry, timeout, bulkhead, circuit breaker and fallback around any predict callable.

>>> from resilient_ml import Fallback, Retry, Timeout
>>> @Fallback("neutral")
... @Retry(attempts=3)
... @Timeout(2.0)
... def classify(text):
...     return "positive"
>>> classify("fine")
'positive'
"""

from . import events
from ._ambient import deadline, remaining
from ._call import Call, Proceed
from ._colour import Colour
from ._order import PolicyOrderWarning
from ._outcome import Attempt, Outcome
from ._pipeline import Pipeline
from ._policy import Policy
from ._stream_rules import Reset
from .errors import (
    BadRows,
    BudgetExhausted,
    BulkheadFull,
    CircuitOpen,
    DeadlineExceeded,
    Drifted,
    InvalidInput,
    InvalidOutput,
    LimitExceeded,
    RateLimited,
    Rejected,
    ResilienceError,
    RowQuarantined,
    RowResult,
    StreamInterrupted,
    StreamTimeout,
    StreamTruncated,
    WorkerCrashed,
)
from .kinds import Kind, kind_of, register_kind
from .machines.backoff import Backoff, ConstantBackoff, DecorrelatedBackoff
from .machines.breaker_rules import State
from .machines.gaps import AdaptiveGap
from .machines.queue_rules import Queue
from .machines.retry_budget import RetryBudget
from .machines.tinylfu import CacheStatistics
from .policies.adaptive_limiter import AdaptiveLimiter
from .policies.budget import Budget
from .policies.bulkhead import Bulkhead
from .policies.cache import Cache
from .policies.circuit_breaker import CircuitBreaker
from .policies.coalesce import Coalesce
from .policies.contract import Contract
from .policies.drift_detector import DriftDetector
from .policies.fallback import Fallback
from .policies.hedge import Hedge
from .policies.hot_keys import HotKeyLimiter
from .policies.keyed import Keyed
from .policies.oom_split import OomSplit
from .policies.rate_limiter import RateLimiter
from .policies.retry import Retry
from .policies.row_isolation import RowIsolation
from .policies.stream import Stream
from .policies.surge_guard import SurgeGuard
from .policies.throttle import Throttle
from .policies.timeout import Timeout
from .stats.space_saving import Heavy

__all__ = [
    "AdaptiveGap",
    "AdaptiveLimiter",
    "Attempt",
    "Backoff",
    "BadRows",
    "Budget",
    "BudgetExhausted",
    "Bulkhead",
    "BulkheadFull",
    "Cache",
    "CacheStatistics",
    "Call",
    "CircuitBreaker",
    "CircuitOpen",
    "Coalesce",
    "Colour",
    "ConstantBackoff",
    "Contract",
    "DeadlineExceeded",
    "DecorrelatedBackoff",
    "DriftDetector",
    "Drifted",
    "Fallback",
    "Heavy",
    "Hedge",
    "HotKeyLimiter",
    "InvalidInput",
    "InvalidOutput",
    "Keyed",
    "Kind",
    "LimitExceeded",
    "OomSplit",
    "Outcome",
    "Pipeline",
    "Policy",
    "PolicyOrderWarning",
    "Proceed",
    "Queue",
    "RateLimited",
    "RateLimiter",
    "Rejected",
    "Reset",
    "ResilienceError",
    "Retry",
    "RetryBudget",
    "RowIsolation",
    "RowQuarantined",
    "RowResult",
    "State",
    "Stream",
    "StreamInterrupted",
    "StreamTimeout",
    "StreamTruncated",
    "SurgeGuard",
    "Throttle",
    "Timeout",
    "WorkerCrashed",
    "deadline",
    "events",
    "kind_of",
    "register_kind",
    "remaining",
]

__version__ = "0.1.0"
