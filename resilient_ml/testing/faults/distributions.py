"""Distributions of latency: functions that read well in a plan."""

from __future__ import annotations

from ..distributions import Distribution, Exponential, Lognormal, Pareto, Uniform

__all__ = ["Distribution", "exponential", "lognormal", "pareto", "uniform"]


def exponential(mean: float) -> Exponential:
    """Memoryless, with this mean in seconds."""
    return Exponential(mean)


def lognormal(*, median: float, sigma: float) -> Lognormal:
    """Skewed as real latencies are: at *sigma* 1.0 the 99th percentile is 10 medians, at 0.5 it is 3.2."""
    return Lognormal(median, sigma)


def pareto(*, least: float, shape: float) -> Pareto:
    """A heavy tail above *least* seconds; at *shape* 1 or below its mean is infinite."""
    return Pareto(least, shape)


def uniform(low: float, high: float) -> Uniform:
    """Anywhere from *low* to *high* seconds."""
    return Uniform(low, high)
