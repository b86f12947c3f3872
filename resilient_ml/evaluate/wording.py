"""Wording: numbers as people read them, the same in tables, on pages and in messages."""

from __future__ import annotations

import math

from .intervals import Interval
from .results import Comparison

UNKNOWN = "\N{EN DASH}"
_MINUS = "\N{MINUS SIGN}"


def number(value: float, unit: str) -> str:
    """*value* with its unit, to three significant digits or so; shares as percentages.

    >>> number(0.99957, "%"), number(0.0421, "s"), number(12345.0, "EUR"), number(float("inf"), "s")
    ('99.957 %', '42.1 ms', '12,345 EUR', 'never')
    """
    if math.isnan(value):
        return UNKNOWN
    if math.isinf(value):
        return "never"
    if unit == "%":
        return f"{_percent(100 * value)} %"
    if unit == "s":
        return _seconds(value)
    if unit == "bytes":
        return _bytes(value)
    return f"{_plain(value)} {unit}".strip()


def interval(found: Interval | None, unit: str) -> str:
    """The number and its confidence interval.

    >>> interval(Interval(0.5, 0.45, 0.55), "%")
    '50 % (45 to 55)'
    """
    if found is None:
        return UNKNOWN
    if math.isnan(found.low) or math.isnan(found.high):
        return number(found.value, unit)
    low, high = number(found.low, unit), number(found.high, unit)
    if low.rpartition(" ")[2] == high.rpartition(" ")[2]:  # the same unit: once is enough
        low, high = low.rpartition(" ")[0] or low, high.rpartition(" ")[0] or high
    return f"{number(found.value, unit)} ({low} to {high})"


def change(comparison: Comparison) -> str:
    """A difference with its sign."""
    value = comparison.difference.interval.value
    if math.isnan(value) or value == 0:
        return "same" if value == 0 else UNKNOWN
    if math.isinf(value):
        return "no longer never" if value < 0 else "never"
    text = number(abs(value), comparison.kpi.unit)
    points = " points" if comparison.kpi.unit == "%" else ""
    return ("+" if value > 0 else _MINUS) + (text.removesuffix(" %") if points else text) + points


def p_value(p: float | None) -> str:
    """A p-value.

    >>> p_value(0.0005), p_value(0.0123), p_value(0.3), p_value(None)
    ('<0.001', '0.012', '0.30', '')
    """
    if p is None:
        return ""
    if p < 0.001:
        return "<0.001"
    return f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def _percent(value: float) -> str:
    """Two digits of what there is, or of what is missing to a hundred: 99.96 must not read as 100."""
    gap = min(abs(value), abs(100 - value))
    if gap == 0:
        return f"{value:.0f}"
    decimals = min(4, max(1, 1 - math.floor(math.log10(gap))))
    text = f"{value:.{decimals}f}".rstrip("0").rstrip(".")
    return {"0": "<0.0001", "100": ">99.9999"}.get(text, text)


def _plain(value: float) -> str:
    if value == round(value) and abs(value) < 1e15:
        return f"{round(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 2:
        return f"{value:.3g}"
    # What is not whole must not read as if it were: an index of 0.9998 is not 1.
    texts = (f"{value:.3g}", f"{value:.4g}", f"{value:.6g}")
    return next((text for text in texts if not text.isdigit()), texts[0])


def _seconds(value: float) -> str:
    size = abs(value)
    if size >= 100:
        return f"{value:.0f} s"
    if size >= 1 or size == 0:
        return f"{value:.3g} s"
    if size >= 0.001:
        return f"{1000 * value:.3g} ms"
    return f"{1e6 * value:.3g} µs"


def _bytes(value: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if abs(value) < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"
