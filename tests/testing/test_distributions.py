"""Distributions are inverse cumulative functions: monotone, with the quantiles and means of the textbooks."""

import math
import random
from statistics import fmean

import pytest

from resilient_ml.testing.distributions import lengths
from resilient_ml.testing.simulate import Distribution, Exponential, Lognormal, Pareto, Uniform

EACH = [Exponential(0.5), Lognormal(0.5, sigma=0.8), Pareto(0.1, shape=2.5), Uniform(0.2, 0.4)]
MEANS = [0.5, 0.5 * math.exp(0.8**2 / 2), 0.1 * 2.5 / 1.5, 0.3]


@pytest.mark.parametrize("one", EACH, ids=repr)
def test_a_draw_grows_with_its_uniform_number_and_is_never_negative(one):
    draws = [one.draw(u / 1000) for u in range(1000)]
    assert draws == sorted(draws)
    assert 0 <= draws[0] < math.inf
    assert draws[-1] < one.draw(1.0 - 2.0**-53) < math.inf
    assert isinstance(one, Distribution)


@pytest.mark.parametrize(("one", "mean"), list(zip(EACH, MEANS, strict=True)), ids=list(map(repr, EACH)))
def test_the_mean_is_that_of_the_formula(one, mean):
    # The midpoints of equal slices: an integral, no sample. The tail beyond the last slice is missing.
    count = 200_000
    assert fmean(one.draw((k + 0.5) / count) for k in range(count)) == pytest.approx(mean, rel=2e-3)


def test_quantiles_are_those_of_the_formulas():
    assert Exponential(2.0).draw(1 - math.exp(-3)) == pytest.approx(6.0)
    assert Lognormal(0.02, sigma=1.0).draw(0.8413447460685429) == pytest.approx(0.02 * math.e)
    assert Pareto(1.0, shape=2.0).draw(0.99) == pytest.approx(10.0)
    assert Uniform(1.0, 3.0).draw(0.25) == 1.5
    assert Lognormal(0.02, sigma=0.0).draw(0.3) == 0.02


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Exponential(0.0), "mean must be above 0, got 0.0; pass the mean in seconds, 0.01 say"),
        (lambda: Lognormal(-1.0, sigma=1.0), "median must be above 0, got -1.0"),
        (lambda: Lognormal(1.0, sigma=-0.1), "sigma must not be negative, got -0.1"),
        (lambda: Pareto(0.0, shape=1.0), "least must be above 0, got 0.0"),
        (lambda: Pareto(1.0, shape=0.0), "shape must be above 0, got 0.0"),
        (lambda: Uniform(-1.0, 2.0), "low must not be negative, got -1.0"),
        (lambda: Uniform(2.0, 1.0), "high must be at least low, got 1 and 2; swap them, perhaps"),
    ],
)
def test_impossible_parameters_are_refused(make, says):
    with pytest.raises(ValueError, match=f"^{says}"):
        make()


def test_a_length_is_a_fixed_number_or_drawn():
    assert [lengths("service", 0.5, random.random)() for _ in range(2)] == [0.5, 0.5]
    uniform = iter([0.0, 0.5])
    length = lengths("service", Uniform(1.0, 2.0), lambda: next(uniform))
    assert [length(), length()] == [1.0, 1.5]
    with pytest.raises(
        TypeError, match="service must be a number, got 'fast'; pass seconds, or a distribution"
    ):
        lengths("service", "fast", random.random)
