"""What befalls a simulated server, and when: outages, slowdowns, restarts, and the cold start after them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ... import _checks

How = Literal["refused", "errors", "hangs"]


@dataclass(frozen=True, slots=True)
class Outage:
    """For a while no request is answered.

    ``refused``: new requests are refused at once, as by a closed port; those inside go on.
    ``errors``: new requests fail at once, with the server's error; those inside go on.
    ``hangs``: the server takes requests and answers none, and begins no work, until the outage is over; then
    it goes on with what it has, wanted or not.

    Args:
        at: When it begins, in seconds from the start.
        lasting: How long it lasts, in seconds, above 0.
        how: What becomes of requests.
    """

    at: float
    lasting: float
    how: How = "refused"

    def __post_init__(self) -> None:
        _span(self.at, self.lasting)
        if self.how not in get_args(How):
            raise ValueError(
                f"how must be one of {', '.join(map(repr, get_args(How)))}, got {_checks.shown(self.how)}; "
                "choose what becomes of requests in the outage"
            )


@dataclass(frozen=True, slots=True)
class Slowdown:
    """For a while all work that is begun takes *factor* times as long.

    Args:
        at: When it begins, in seconds from the start.
        lasting: How long it lasts, in seconds, above 0.
        factor: Above 0; below 1 it is a speed-up.
    """

    at: float
    lasting: float
    factor: float

    def __post_init__(self) -> None:
        _span(self.at, self.lasting)
        _checks.seconds("factor", self.factor, remedy="pass how many times as long work takes")


@dataclass(frozen=True, slots=True)
class Restart:
    """The server dies, and all that is inside or waits is lost with a broken connection; then it starts cold.

    Args:
        at: When, in seconds from the start.
    """

    at: float

    def __post_init__(self) -> None:
        _checks.seconds("at", self.at, zero=True, remedy="pass the second at which it happens")


Incident = Outage | Slowdown | Restart


@dataclass(frozen=True, slots=True)
class ColdStart:
    """What a server goes through after a start: it loads, and then it warms up.

    While it loads, requests are refused. Then work takes *factor* times as long, falling evenly to once as
    long over *warming* seconds.

    Args:
        loading: In seconds, from 0.
        warming: In seconds, from 0.
        factor: At least 1.
        at_start: Whether the simulation begins with one.
    """

    loading: float = 0.0
    warming: float = 0.0
    factor: float = 1.0
    at_start: bool = False

    def __post_init__(self) -> None:
        _checks.seconds("loading", self.loading, zero=True, remedy="pass how long requests are refused")
        _checks.seconds("warming", self.warming, zero=True, remedy="pass how long it is slow")
        if _checks.real("factor", self.factor, remedy="pass how many times as long work takes") < 1:
            raise ValueError(f"factor must be at least 1, got {self.factor:g}; a cold server is slower")
        _checks.flag("at_start", self.at_start, remedy="True begins the simulation with a cold server")


def _span(at: float, lasting: float) -> None:
    _checks.seconds("at", at, zero=True, remedy="pass the second at which it begins")
    _checks.seconds("lasting", lasting, remedy="pass how many seconds it lasts")
