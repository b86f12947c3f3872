"""Bands of calls, the most urgent first: what the user names them, and which a call is in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import _checks


def check_bands(band: Callable[..., str] | None, bands: Sequence[str]) -> None:
    """Both or none, and different names.

    Raises:
        TypeError: *band* is no function.
        ValueError: One is there without the other, or a name comes twice.
    """
    if band is not None:
        _checks.function("band", band, remedy="pass a function of the call's arguments")
    if isinstance(bands, str) or len(set(bands)) != len(bands):
        raise ValueError("bands must be different names; write bands=('interactive', 'batch')")
    if (band is None) != (not bands):
        raise ValueError(
            "band= and bands= belong together; pass bands=('interactive', 'batch') and a function of the "
            "call's arguments that returns one of them"
        )


def band_of(
    band: Callable[..., str] | None, bands: Sequence[str], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> int:
    """The number of a call's band, 0 the most urgent.

    Raises:
        ValueError: *band* returned none of *bands*.
    """
    if band is None:
        return 0
    name = band(*args, **kwargs)
    try:
        return list(bands).index(name)
    except ValueError:
        raise ValueError(
            f"band must return one of {', '.join(map(repr, bands))}, got {_checks.shown(name)}; "
            "add it to bands=, or return one of those"
        ) from None
