"""How long a server's work takes at a moment: by the request, by its slowdowns, and by how warm it is."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

from ..distributions import lengths
from .loop import ScenarioError
from .server import ModelServer


class Pace:
    """The pace of one server in one simulation.

    Attributes:
        slowdowns: How many times as long work takes, for each slowdown that lasts.
        loaded: The instant from which it is loaded, and warms up.
    """

    def __init__(self, server: ModelServer, seed: int) -> None:
        self.slowdowns: list[float] = []
        self.loaded: float = -math.inf
        self._server = server
        self._said: Callable[..., float] | None = server.service if callable(server.service) else None
        uniform = random.Random(f"{seed}:{server.name}:service").random
        self._drawn = lengths("service", 0.0 if callable(server.service) else server.service, uniform)

    def start_cold(self, now: float) -> None:
        """It has started anew at *now*."""
        if self._server.cold_start is not None:
            self.loaded = now + self._server.cold_start.loading

    def seconds(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> float:
        """How long a request takes a server that is warm and well.

        Raises:
            ScenarioError: The function that was to say so failed.
        """
        if self._said is None:
            return self._drawn()
        try:
            seconds = self._said(*args, **kwargs)
            if not 0 <= seconds < math.inf:
                raise ValueError(
                    f"service of server {self._server.name!r} said that a request takes {seconds!r} s; "
                    "it must return a finite number of seconds from 0"
                )
        except Exception as error:
            raise ScenarioError(error) from error
        return seconds

    def factor(self, now: float) -> float:
        """How many times as long work takes that begins at *now*."""
        factor = math.prod(self.slowdowns)
        cold = self._server.cold_start
        if cold is not None and now < self.loaded + cold.warming:
            factor *= cold.factor + (1.0 - cold.factor) * (now - self.loaded) / cold.warming
        return factor
