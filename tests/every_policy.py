"""One of each policy, for what holds for all of them."""

from resilient_ml import (
    AdaptiveLimiter,
    Budget,
    Bulkhead,
    CircuitBreaker,
    ConstantBackoff,
    Contract,
    DriftDetector,
    Fallback,
    Keyed,
    Pipeline,
    RateLimiter,
    Retry,
    SurgeGuard,
    Throttle,
    Timeout,
)
from resilient_ml.drift import Numbers

AT_ONCE = ConstantBackoff(0)


def watched():
    """Its reference does not grow; of the recent past it remembers a thousand numbers."""
    length = Numbers("length", lambda *args: len(args), side="input")
    return DriftDetector(length, references={"length": [1.0] * 100}, queue=64)


def every_policy():
    return {
        "retry": lambda: Retry(2, backoff=AT_ONCE),
        "timeout": lambda: Timeout(60),
        "late_only": lambda: Timeout(60, late_only=True),
        "breaker": CircuitBreaker,
        "count window": lambda: CircuitBreaker(window_calls=100),
        "bulkhead": lambda: Bulkhead(4, queue=4),
        "limiter": lambda: AdaptiveLimiter(queue=4),
        "throttle": Throttle,
        "surge guard": lambda: SurgeGuard(1e6),
        "rate limiter": lambda: RateLimiter(1e6),
        "budget": lambda: Budget(1e6, unit="calls"),
        "fallback": lambda: Fallback("popular"),
        "contract": Contract,
        "drift": watched,
        "keyed": lambda: Keyed(lambda: Bulkhead(4), key=lambda *args: 1),
        "everything": lambda: Pipeline(
            Fallback("popular"), Retry(2, backoff=AT_ONCE), CircuitBreaker(), Bulkhead(4), Timeout(60)
        ),
    }
