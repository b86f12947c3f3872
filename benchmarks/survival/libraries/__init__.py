"""One adapter a library; this one stands first."""

from __future__ import annotations

from survival.library import Library

from .breakers import AioBreaker, CircuitBreakerPeer, Purgatory, PyBreaker
from .grit import Grit
from .hyx import Hyx
from .interlock import Interlock
from .nopanic import Nopanic
from .ours import ResilientML
from .pyresilience import PyResilience
from .resilix import Resilix
from .retries import Backoff, Stamina, Tenacity
from .single import AioLimiter, AsyncLru, CacheTools, Limits, River

LIBRARIES: dict[str, Library] = {
    kind.name: kind()
    for kind in (
        ResilientML,
        Nopanic,
        Interlock,
        PyResilience,
        Resilix,
        Grit,
        Hyx,
        Tenacity,
        Stamina,
        Backoff,
        PyBreaker,
        CircuitBreakerPeer,
        AioBreaker,
        Purgatory,
        AioLimiter,
        Limits,
        CacheTools,
        AsyncLru,
        River,
    )
}
"""By name, in the order of the tables: this one, the kits, then those with a single policy."""

OURS = ResilientML.name
