"""Sixteen ways in which a streaming model service fails, and three in which it does not.

The idea of such a list, and of scoring it as pass, partial, safe failure and silent wrong answer, is that of
failoverbench (2026); these scripts are our own.
"""

from __future__ import annotations

from .fault import ANSWER, StreamFault
from .steps import WELL, Cut, Fail, Final, Garble, Heartbeat, Refuse, Role, Say, Script, Step, Tell, Wait

_OPENED: tuple[Step, ...] = (Wait(0.1), Role(), Wait(0.4))
_SILENT: tuple[Step, ...] = (Wait(120.0), Cut())
"""Nothing, until the connection is reset after all."""


def _primary(*attempts: tuple[Step, ...], continues: bool = True) -> Script:
    return Script(ANSWER, attempts, continues=continues)


STREAM_FAULTS: tuple[StreamFault, ...] = (
    StreamFault(
        "S01",
        "an error of the server (500), once",
        "It asks again, or elsewhere.",
        _primary((Wait(0.1), Fail(500)), WELL),
        most_attempts=3,
    ),
    StreamFault(
        "S02",
        "a rate limit (429) that asks to be left alone for two seconds",
        "It waits so long, or asks elsewhere.",
        _primary((Wait(0.1), Fail(429, retry_after=2.0)), WELL),
        most_attempts=3,
        not_before=2.0,
    ),
    StreamFault(
        "S03",
        "overload (529), for as long as one asks",
        "It asks a few times at most, then elsewhere.",
        _primary((Wait(0.1), Fail(529))),
        most_attempts=3,
    ),
    StreamFault(
        "S04",
        "no connection, for as long as one asks",
        "It asks a few times at most, then elsewhere.",
        _primary((Refuse(),)),
        most_attempts=3,
    ),
    StreamFault(
        "S05",
        "wrong credentials (401)",
        "It asks elsewhere at once: the same credentials are no better the next time.",
        _primary((Wait(0.1), Fail(401))),
        most_attempts=1,
    ),
    StreamFault(
        "S06",
        "a black hole: the connection is accepted, and nothing comes",
        "It waits a few seconds for the first content, then asks elsewhere.",
        _primary(_SILENT),
        most_attempts=3,
    ),
    StreamFault(
        "S07",
        "the first content comes after 21 s",
        "It waits a few seconds for the first content, then asks elsewhere.",
        _primary((Wait(0.1), Role(), Wait(21.0), Say(), Final())),
    ),
    StreamFault(
        "S08",
        "the connection breaks in the middle of the answer",
        "It gets the rest, from here or elsewhere, and repeats nothing.",
        _primary((*_OPENED, Say(4), Cut()), WELL),
    ),
    StreamFault(
        "S09",
        "the stream stalls in the middle of the answer, each time",
        "It waits a few seconds for the next chunk, then gets the rest.",
        _primary((*_OPENED, Say(4), *_SILENT)),
    ),
    StreamFault(
        "S10",
        "a chunk in the middle cannot be read",
        "It notices that a piece is missing, and gets it.",
        _primary((*_OPENED, Say(4), Garble(), Say(), Final()), WELL),
    ),
    StreamFault(
        "S11",
        "an error is told in a chunk, after status 200",
        "It takes it for the error that it is.",
        _primary((Wait(0.1), Role(), Tell("overloaded_error"))),
        most_attempts=3,
    ),
    StreamFault(
        "S12",
        "the stream ends early, without its last chunk and without an error",
        "It notices that the end is missing, and gets the rest.",
        _primary((*_OPENED, Say(5)), WELL),
    ),
    StreamFault(
        "S13",
        "heartbeats go on coming in the middle of the answer, and nothing else",
        "It knows that a heartbeat is no content, and gets the rest.",
        _primary((*_OPENED, Say(4), *(Wait(2.0), Heartbeat()) * 60, Cut())),
    ),
    StreamFault(
        "S14",
        "the connection breaks in the middle, and going on is refused (400)",
        "It keeps in mind that the line broke: that is for another provider, where a 400 would not be.",
        _primary((*_OPENED, Say(4), Cut()), continues=False),
        most_attempts=3,
    ),
    StreamFault(
        "S15",
        "an outage of 60 s, with a request every 4 s",
        "It finds out, asks elsewhere without trying here first, and finds out when it is over.",
        Script(ANSWER, down=(0.0, 60.0), while_down=(Wait(0.1), Fail(503))),
        most_attempts=4,
        back_within=4.0,
        requests=20,
        every=4.0,
    ),
    StreamFault(
        "S16",
        "the connection breaks in the middle, and then there is none: who answered?",
        "It goes on elsewhere, and says so.",
        _primary((*_OPENED, Say(4), Cut()), (Refuse(),)),
        most_attempts=3,
        told=True,
    ),
)
"""The faults. Each names what goes wrong, what a good client does, and what is asked of it."""

STREAM_CONTROLS: tuple[StreamFault, ...] = (
    StreamFault(
        "C01",
        "nothing is wrong",
        "It passes the chunks on as they come.",
        _primary(WELL),
        most_attempts=1,
        most_elsewhere=0,
    ),
    StreamFault(
        "C02",
        "an answer that is empty, and complete",
        "It takes it for an answer.",
        Script((), ((Wait(0.1), Role(), Wait(0.4), Final()),)),
        most_attempts=1,
        most_elsewhere=0,
    ),
    StreamFault(
        "C03",
        "a reader who spends six seconds with each chunk",
        "It does not count its reader's time as the provider's.",
        _primary(WELL),
        within=110.0,
        most_attempts=1,
        most_elsewhere=0,
        reader_pause=6.0,
    ),
)
"""What is well and must not be taken for a fault."""
