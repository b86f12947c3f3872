"""How calls wait for admission: how many, in which order, and when waiting is of no use."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from .. import _checks
from .bands import band_of, check_bands

Order = Literal["fifo", "lifo_under_load", "deadline"]


@dataclass(frozen=True, kw_only=True)
class Queue:
    """How calls wait in front of a :class:`~resilient_ml.Bulkhead` or an adaptive limiter.

    Who waits in a more urgent band goes first; in a band the tenant that has been served least; of a tenant's
    calls the one that *order* says. A call that cannot be served in its time is refused when it comes, with
    the time after which the queue will have drained as ``retry_after``. When the queue is full, a call of a
    less urgent band gives way, or one of the tenant that has most waiting; the newest of these.

    >>> from resilient_ml import Bulkhead
    >>> guard = Bulkhead(8, queue=Queue(size=100, tenant=lambda prompt, user: user))

    Args:
        size: How many may wait, from 1.
        max_cost: The most that all who wait may cost together, above 0; None for no such bound. What a call
            costs is said by ``cost=`` of the policy.
        order: ``"fifo"``: first come first served. ``"lifo_under_load"``: the last first while a queue has
            stood for *standing_seconds*, as those who came first will not be served in time anyway.
            ``"deadline"``: the one with the least time left.
        band: Which band a call belongs to; takes the call's arguments and returns one of *bands*.
        bands: The bands, the most urgent first.
        reserved: For some of the bands the share of the served cost, from 0 to 1, that they get at least
            while they wait, however busy the more urgent ones are.
        ageing_seconds: After so many seconds of waiting a call counts as one band more urgent, again and
            again; None for never.
        tenant: Whose call it is; takes the call's arguments. None for no fairness between tenants.
        max_tenants: How many tenants are remembered; from 1. Beyond, those seen longest ago begin anew.
        target_seconds: The longest that calls should wait. While all of the last *interval_seconds* waited
            longer, those who have waited twice as long are refused when their turn comes. None for no
            such bound.
        interval_seconds: How long the queue must be too slow for that.
        standing_seconds: How long it must not have been empty to be served last come first.
        predict: Whether to refuse at once what will not be served in its time.

    Source: B. Maurer, "Fail at Scale", ACM Queue 13(8), 2015, and folly's ``Codel`` for the target;
    P. Goyal, H. Vin, H. Cheng, "Start-Time Fair Queueing", SIGCOMM 1996, for the tenants.
    """

    size: int
    max_cost: float | None = None
    order: Order = "fifo"
    band: Callable[..., str] | None = None
    bands: Sequence[str] = ()
    reserved: Mapping[str, float] = field(default_factory=dict)
    ageing_seconds: float | None = None
    tenant: Callable[..., Hashable] | None = None
    max_tenants: int = 1024
    target_seconds: float | None = None
    interval_seconds: float = 0.1
    standing_seconds: float = 0.1
    predict: bool = True

    def __post_init__(self) -> None:
        _checks.whole("size", self.size, at_least=1, remedy="pass queue=0 to let nobody wait")
        if self.max_cost is not None:
            _checks.seconds("max_cost", self.max_cost, remedy="pass None for no bound on the cost")
        if self.order not in get_args(Order):
            raise ValueError(
                f"order must be one of {', '.join(map(repr, get_args(Order)))}, got "
                f"{_checks.shown(self.order)}; 'fifo' serves who came first"
            )
        _checks.whole("max_tenants", self.max_tenants, at_least=1, remedy="pass how many to remember")
        for name in ("ageing_seconds", "target_seconds"):
            if getattr(self, name) is not None:
                _checks.seconds(name, getattr(self, name), remedy="pass None to do without")
        for name in ("interval_seconds", "standing_seconds"):
            _checks.seconds(name, getattr(self, name), remedy="pass 0.1, say")
        _checks.flag("predict", self.predict, remedy="True refuses at once what will come too late")
        if self.tenant is not None:
            _checks.function("tenant", self.tenant, remedy="pass a function of the call's arguments")
        self._check_bands()

    def _check_bands(self) -> None:
        check_bands(self.band, self.bands)
        shares = []
        for name, share in self.reserved.items():
            if name not in self.bands:
                raise ValueError(f"reserved names {_checks.shown(name)}, which is none of the bands")
            shares.append(_checks.share("reserved", share, remedy="pass a share of the served cost, 0.1 say"))
        total = math.fsum(shares)  # added up one by one, 0.05, 0.55, 0.3 and 0.1 are more than 1
        if total > 1:
            raise ValueError(f"reserved must be at most 1 together, got {total:g}; lower some of the shares")

    def band_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
        """The number of the call's band, 0 the most urgent.

        Raises:
            ValueError: ``band`` returned none of ``bands``.
        """
        return band_of(self.band, self.bands, args, kwargs)

    def tenant_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hashable:
        """Whose call it is.

        Raises:
            TypeError: ``tenant`` returned what cannot be told apart: a list, a dict.
        """
        if self.tenant is None:
            return None
        whose = self.tenant(*args, **kwargs)
        try:
            hash(whose)
        except TypeError:
            raise TypeError(
                f"tenant must return something hashable, got {_checks.shown(whose)}; return a name"
            ) from None
        return whose
