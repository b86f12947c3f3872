"""What came of a fault: survived, failed, undecided, not offered or absent, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a library came through a fault."""

    SURVIVED = "survived"
    FAILED = "failed"
    UNDECIDED = "undecided"
    """The case could not bring the fault about, so nothing is counted."""
    NOT_OFFERED = "not offered"
    """The library claims nothing that this fault could break."""
    ABSENT = "absent"
    """The library is not installed."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one fault, or of one part of it.

    Attributes:
        status: How it went.
        reason: One line with what was measured.
    """

    status: Status
    reason: str = ""


def survived(reason: str) -> Verdict:
    """All went well."""
    return Verdict(Status.SURVIVED, reason)


def failed(reason: str) -> Verdict:
    """The fault got through."""
    return Verdict(Status.FAILED, reason)


def undecided(reason: str) -> Verdict:
    """The fault did not come about."""
    return Verdict(Status.UNDECIDED, reason)


def judged(held: bool, reason: str) -> Verdict:
    """Survived if *held*, else failed."""
    return survived(reason) if held else failed(reason)


def flawless(flaws: Sequence[str], otherwise: str) -> Verdict:
    """Failed with all *flaws*; survived, *otherwise*."""
    return failed(", ".join(flaws)) if flaws else survived(otherwise)


NOT_OFFERED = Verdict(Status.NOT_OFFERED)
ABSENT = Verdict(Status.ABSENT)


def combined(parts: Sequence[tuple[str, Verdict]]) -> Verdict:
    """One verdict for all parts of a fault: the worst, with the reasons of the parts that brought it."""
    offered = [(label, verdict) for label, verdict in parts if verdict.status is not Status.NOT_OFFERED]
    for worst in (Status.FAILED, Status.UNDECIDED, Status.SURVIVED):
        by_reason: dict[str, list[str]] = {}
        for label, verdict in offered:
            if verdict.status is worst:
                by_reason.setdefault(verdict.reason, []).append(label)
        if by_reason:
            told = [f"{', '.join(labels)}: {reason}" for reason, labels in by_reason.items()]
            return Verdict(worst, "; ".join(told))
    return NOT_OFFERED
