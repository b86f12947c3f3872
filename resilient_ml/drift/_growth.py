"""A reference that grows: quiet observations join it once a stretch without an alarm has come after them.

How sure a detector can be is limited by its reference, as that is a sample: among 1000 values the mean is off
by a thirtieth of a standard deviation, and a change of a quarter is found among 4000 in four fifths of the
time. So what has been observed joins the reference, :data:`LAG` observations later, as long as the evidence
has not begun anew since: by then a change of half a standard deviation has raised its alarm. What joins does
not depend on what the detector thinks of it, so the reference stays a fair sample of quiet times.

It stops at :data:`LARGEST` observations. So a drift too slow to be noticed can be taken for quiet at the
beginning, and not for ever.
"""

from __future__ import annotations

from typing import Final

LAG: Final = 256
"""How many observations come after one before it may join."""

LARGEST: Final = 4000
"""So many observations of a reference are enough; one that has as many when it is given does not grow."""


def joining(count: int) -> int:
    """How many observations join a reference of *count* at once: a sixteenth of it; none if that is enough.

    >>> [joining(count) for count in (20, 1000, 3990, 4000, 100_000)]
    [1, 62, 10, 0, 0]
    """
    return max(0, min(max(count // 16, 1), LARGEST - count))
