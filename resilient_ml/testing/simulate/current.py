"""The simulation that runs in this process: where simulated servers find their loop."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

from .loop import Loop, ScenarioError

if TYPE_CHECKING:
    from .desk import Desk
    from .server import ModelServer, Replicas


class Current:
    """What is running.

    Attributes:
        running: The simulation that runs, or None.
        loop: Its loop.
        desks: Its servers at work, by what describes them.
    """

    running: Current | None = None

    def __init__(self, loop: Loop, seed: int) -> None:
        self.loop: Loop = loop
        self.desks: dict[ModelServer, Desk] = {}
        self._turns: Counter[Replicas] = Counter()
        self._uniform = random.Random(f"{seed}:replicas").random

    def desk(self, server: ModelServer) -> Desk:
        """*server* at work.

        Raises:
            ScenarioError: It has no part in the simulation.
        """
        desk = self.desks.get(server)
        if desk is None:
            raise ScenarioError(
                ValueError(
                    f"server {server.name!r} is called and has no part in the simulation; "
                    "name it in servers= of simulate()"
                )
            )
        return desk

    def choose(self, replicas: Replicas) -> Desk:
        """Who of *replicas* answers the next request."""
        servers = replicas.servers
        match replicas.choose:
            case "round_robin":
                turn = self._turns[replicas]
                self._turns[replicas] = (turn + 1) % len(servers)
                return self.desk(servers[turn])
            case "random":
                return self.desk(servers[int(self._uniform() * len(servers))])
            case _:
                return min((self.desk(server) for server in servers), key=lambda desk: desk.inside)


def current() -> Current:
    """What is running.

    Raises:
        RuntimeError: Nothing is.
    """
    if Current.running is None:
        raise RuntimeError(
            "a simulated server answers, and simulated time passes, only inside simulate(); "
            "pass the server to it as calls= of Clients"
        )
    return Current.running


async def sleep(seconds: float) -> None:
    """Wait *seconds* of simulated time, in a coroutine of your own that clients call."""
    await current().loop.sleep(seconds)
