"""Luck that is a function: the same words give the same draws, on every Python, in any order of threads."""

from __future__ import annotations

from typing import Final

_MASK: Final = (1 << 64) - 1
_GAMMA: Final = 0x9E3779B97F4A7C15


def mix(word: int) -> int:
    """Scramble 64 bits so that neighbouring words have nothing in common.

    >>> hex(mix(0))
    '0xe220a8397b1dcdaf'

    Source: G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014: the
    step of SplitMix64, as S. Vigna published it in C in 2015.
    """
    word = (word + _GAMMA) & _MASK
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _MASK
    return word ^ (word >> 31)


class Draws:
    """Uniform numbers, one after the other, that depend on nothing but *words*.

    Args:
        words: Whole numbers from 0, of any size: a seed, who asks, the how-manieth call it is.

    >>> Draws(7, 0, 1).uniform() == Draws(7, 0, 1).uniform() != Draws(7, 0, 2).uniform()
    True
    """

    __slots__ = ("_state",)

    def __init__(self, *words: int) -> None:
        state = 0
        for word in words:
            state = mix(state ^ (word & _MASK))
            while word := word >> 64:  # wider words go on, other than a further word would
                state = mix(~state & _MASK ^ (word & _MASK))
        self._state = state

    def uniform(self) -> float:
        """The next number in [0, 1), one of 2**53."""
        word = mix(self._state)
        self._state = (self._state + _GAMMA) & _MASK
        return (word >> 11) * 2.0**-53

    def below(self, bound: int) -> int:
        """The next whole number from 0 that is less than *bound*, which is at least 1."""
        return int(self.uniform() * bound)
