"""Luck that is a function: pinned numbers, which every Python and every machine must give."""

import pytest

from resilient_ml.testing.faults.draws import Draws, mix


def test_the_step_is_that_of_splitmix64():
    # From the reference in C, seeded with 0: its first three outputs.
    assert [hex(mix(seed)) for seed in (0, 0x9E3779B97F4A7C15, 2 * 0x9E3779B97F4A7C15)] == [
        "0xe220a8397b1dcdaf",
        "0x6e789e6aa1b965f4",
        "0x6c45d188009454f",
    ]


def test_draws_are_pinned():
    draws = Draws(7, 0, 1, 0)
    assert [draws.uniform() for _ in range(3)] == [
        0.36647413199790313,
        0.5960026780960165,
        0.07131048605789281,
    ]


def test_every_word_matters_wide_ones_to_the_last_bit():
    words = [(1,), (2,), (1, 0), (0, 1), (1 << 64,), ((1 << 64) + 1,), (1 << 200,), ((1 << 200) + 1,)]
    assert len({Draws(*each).uniform() for each in words}) == len(words)


def test_draws_are_uniform():
    draws = [Draws(3, call).uniform() for call in range(20_000)]
    assert all(0.0 <= draw < 1.0 for draw in draws)
    for tenth in range(10):
        share = sum(tenth / 10 <= draw < (tenth + 1) / 10 for draw in draws) / len(draws)
        assert 0.09 < share < 0.11


@pytest.mark.parametrize("bound", [1, 2, 7])
def test_whole_draws_reach_every_number_below_their_bound_and_no_other(bound):
    draws = Draws(5)
    assert {draws.below(bound) for _ in range(200)} == set(range(bound))
