"""Who waits, and whose turn it is: bands, tenants, order, and who gives way when the room is full.

Nothing here waits or locks: the machine that owns a room holds its lock around each call.

A band's calls are kept by tenant. Each tenant has a tag: where its next call stands in virtual time, which
moves on with the cost that is served. The least tag is next; serving a call moves its tenant's tag on by
the cost. A tenant that comes anew, or back, stands at the present: what it did not use while away is not
saved up, and there is nothing to gain from being forgotten.
"""

from __future__ import annotations

import bisect
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

from .queue_rules import Queue

_FADE: Final = 100.0
"""What bands were served fades so that the last hundred average calls weigh most."""


class Ticket:
    """A place in the room.

    Attributes:
        cost: What the call costs.
        until: The instant until which it waits.
        deadline: The instant by which its call must have ended; ``inf`` for none.
        came: When it joined.
        wake: Called, with no lock held, once it is granted or refused.
        granted: What it was given to go in with; None while it waits.
        refused: Why it was put out; None while it was not.
    """

    __slots__ = (
        "band",
        "came",
        "cost",
        "deadline",
        "granted",
        "number",
        "refused",
        "tenant",
        "until",
        "wake",
    )

    def __init__(
        self,
        cost: float,
        until: float,
        deadline: float,
        came: float,
        band: int,
        tenant: Hashable,
        wake: Callable[[], bool],
    ) -> None:
        self.cost: float = cost
        self.until: float = until
        self.deadline: float = deadline
        self.came: float = came
        self.band: int = band
        self.tenant: Hashable = tenant
        self.wake: Callable[[], bool] = wake
        self.number: int = 0
        self.granted: object | None = None
        self.refused: str | None = None


class WaitingRoom:
    """The tickets that wait, and the order in which they go."""

    def __init__(self, rules: Queue) -> None:
        self._rules = rules
        names = rules.bands or ("",)
        self._bands: list[dict[Hashable, list[Ticket]]] = [{} for _ in names]
        self._reserved = [rules.reserved.get(name, 0.0) for name in names]
        self._served = [0.0] * len(names)
        self._tags: OrderedDict[Hashable, float] = OrderedDict()
        self._present = 0.0
        self._numbers = 0
        self._standing_since: float | None = None
        self.count: int = 0
        self.cost: float = 0.0

    def __len__(self) -> int:
        return self.count

    # -- coming and going ----------------------------------------------------------------------------------

    def has_place(self, cost: float) -> bool:
        """Whether a ticket of this *cost* fits in beside those who wait."""
        rules = self._rules
        return self.count < rules.size and (rules.max_cost is None or self.cost + cost <= rules.max_cost)

    def add(self, ticket: Ticket) -> None:
        """Let *ticket* wait."""
        if not self.count:
            self._standing_since = ticket.came
        self._numbers += 1
        ticket.number = self._numbers
        waiting = self._bands[ticket.band].get(ticket.tenant)
        if waiting is None:
            waiting = self._bands[ticket.band][ticket.tenant] = []
            if self._rules.tenant is not None:
                self._tags[ticket.tenant] = max(self._present, self._tags.get(ticket.tenant, 0.0))
        if self._rules.order == "deadline":
            bisect.insort(waiting, ticket, key=lambda one: (one.until, one.number))
        else:
            waiting.append(ticket)
        self.count += 1
        self.cost += ticket.cost

    def remove(self, ticket: Ticket) -> bool:
        """Take *ticket* out; False where it does not wait."""
        waiting = self._bands[ticket.band].get(ticket.tenant, ())
        if ticket not in waiting:
            return False
        assert isinstance(waiting, list)
        waiting.remove(ticket)
        if not waiting:
            del self._bands[ticket.band][ticket.tenant]
        self.count -= 1
        self.cost = self.cost - ticket.cost if self.count else 0.0
        if not self.count:
            self._standing_since = None
        return True

    def serve(self, ticket: Ticket) -> None:
        """*ticket* goes in: charge its band and its tenant."""
        self.remove(ticket)
        keep = 1 - 1 / _FADE
        self._served = [served * keep for served in self._served]
        self._served[ticket.band] += ticket.cost
        self.charge(ticket.tenant, ticket.cost)

    def charge(self, tenant: Hashable, cost: float) -> None:
        """*tenant* is served *cost*, whether it had to wait or not."""
        if self._rules.tenant is None:
            return
        tags = self._tags
        self._present = max(self._present, tags.get(tenant, 0.0))
        tags[tenant] = self._present + cost
        tags.move_to_end(tenant)
        if len(tags) > self._rules.max_tenants:
            gone = next((one for one in tags if not any(one in band for band in self._bands)), None)
            tags.pop(gone, None)  # None, too, where all of them wait

    # -- whose turn it is ----------------------------------------------------------------------------------

    def next(self, now: float) -> Ticket | None:
        """Whose turn it is; None when nobody waits. Looks at each tenant that waits."""
        heads = [ticket for band in self._bands if (ticket := self._first_of(band, now)) is not None]
        if not heads:
            return None
        total = sum(self._served)
        for ticket in heads:
            if self._served[ticket.band] < self._reserved[ticket.band] * total:
                return ticket
        return min(heads, key=lambda ticket: (self._urgency(ticket, now), ticket.number))

    def _first_of(self, band: dict[Hashable, list[Ticket]], now: float) -> Ticket | None:
        if not band:
            return None
        present = self._present
        tenant = min(band, key=lambda one: (self._tags.get(one, present), band[one][0].number))
        waiting = band[tenant]
        return waiting[-1] if self.last_first(now) else waiting[0]

    def _urgency(self, ticket: Ticket, now: float) -> float:
        ageing = self._rules.ageing_seconds
        return ticket.band if ageing is None else ticket.band - (now - ticket.came) // ageing

    def last_first(self, now: float) -> bool:
        """Whether those who came last go first now."""
        since = self._standing_since
        return (
            self._rules.order == "lifo_under_load"
            and since is not None
            and now - since >= self._rules.standing_seconds
        )

    def ahead_of(self, ticket: Ticket, now: float) -> float:
        """The cost of those who would go before *ticket*, which has not joined yet."""
        if self.last_first(now):
            return 0.0
        ahead = 0.0
        for number, band in enumerate(self._bands[: ticket.band + 1]):
            own = number == ticket.band
            mine = sum(one.cost for one in band.get(ticket.tenant, ()) if self._before(one, ticket, own=own))
            ahead += mine
            for tenant, waiting in band.items():
                if tenant != ticket.tenant:
                    theirs = sum(one.cost for one in waiting if self._before(one, ticket, own=own))
                    # Tenants take turns: another goes first as often as this one has to wait for itself.
                    ahead += min(theirs, mine + ticket.cost) if own else theirs
        return ahead

    def _before(self, one: Ticket, ticket: Ticket, *, own: bool) -> bool:
        return not own or self._rules.order != "deadline" or one.until <= ticket.until

    # -- when it is full -----------------------------------------------------------------------------------

    def gives_way_to(self, ticket: Ticket, now: float) -> Ticket | None:
        """Who gives way to *ticket*, which finds the room full; None where nobody does.

        The oldest where the last go first, else the newest of the tenant that has most waiting in the least
        urgent band; to a call that is more urgent, or whose tenant has less waiting.
        """
        number = max((at for at, band in enumerate(self._bands) if band), default=-1)
        if number < ticket.band:
            return None
        band = self._bands[number]
        rules = self._rules
        most = max(band, key=lambda tenant: sum(one.cost for one in band[tenant]))
        waiting = band[most]
        victim = waiting[0] if self.last_first(now) else max(waiting, key=lambda one: one.number)
        if rules.max_cost is not None and self.cost - victim.cost + ticket.cost > rules.max_cost:
            return None
        if number > ticket.band or self.last_first(now):
            return victim
        own = sum(one.cost for one in band.get(ticket.tenant, ())) + ticket.cost
        theirs = sum(one.cost for one in waiting)
        return victim if most != ticket.tenant and own < theirs else None
