"""Faults for the length of one test: wrap callables or patch attributes, and it is undone at the end."""

from __future__ import annotations

import contextlib
import difflib
import random
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from .. import _checks
from .._colour import Colour
from . import faults as _faults
from .faults import Fault, FaultPlan, Injected

F = TypeVar("F", bound=Callable[..., Any])


class FaultInjector:
    """What the fixture ``faults`` is: it makes plans, and undoes what they patched.

    Every function of :mod:`resilient_ml.testing.faults` is also an attribute, so a test imports nothing::

        def test_a_blip_is_ridden_out(faults):
            faults.patch("shop.search.embed", faults.error(ConnectionError).first(1))
            assert shop.search.query("shoes")

    Args:
        seed: Where all luck comes from: that of the faults, and that of Python's own ``random``, so that the
            jitter of retries repeats itself too. Python's is put back at the end.
        scale: Multiplies the probability of every fault; 0 switches all faults off.
    """

    def __init__(self, seed: int, *, scale: float = 1.0) -> None:
        self.seed: int = _checks.whole("seed", seed, at_least=0, remedy="pass a whole number")
        self.scale: float = _checks.seconds(
            "scale", scale, zero=True, remedy="pass what probabilities are multiplied by, 0 for no faults"
        )
        self.plans: list[FaultPlan] = []
        self._began: list[float] = []
        self._always: tuple[Fault, ...] = ()
        self._undo = contextlib.ExitStack()

    def __getattr__(self, name: str) -> Any:
        try:
            return getattr(_faults, name)
        except AttributeError:
            close = difflib.get_close_matches(name, _faults.__all__, n=1)
            hint = f"did you mean {close[0]!r}?" if close else "resilient_ml.testing.faults has them all"
            raise AttributeError(f"there is no fault {name!r}; {hint}") from None

    def plan(self, *faults: Fault, seed: int | None = None) -> FaultPlan:
        """A plan of these faults, scaled, with a seed of its own drawn from this test's; it begins now."""
        own = self.seed + len(self.plans) if seed is None else seed
        made = FaultPlan(*faults, seed=own).scaled(self.scale)
        made.start()
        self.plans.append(made)
        self._began.append(time.monotonic())
        self._undo.callback(made.release)
        return made

    def always(self, *faults: Fault) -> None:
        """Have every further :meth:`wrap` strike with these faults too, before its own."""
        self._always += faults

    def wrap(self, fn: F, *faults: Fault, colour: Colour | None = None) -> F:
        """*fn* with these faults, in the colour of *fn*."""
        _refuse_none("wrap(fn", faults or self._always)
        return self.plan(*self._always, *faults).inject(fn, colour=colour)

    def patch(self, target: str | tuple[object, str], *faults: Fault, seed: int | None = None) -> FaultPlan:
        """Put these faults around an attribute until the test ends.

        Args:
            target: ``"package.module.function"``, ``"package.module.Class.method"``, or ``(object, "name")``.
            faults: What strikes its calls.
            seed: The plan's own; by default drawn from this test's.
        """
        _refuse_none("patch(target", faults)
        plan = self.plan(*faults, seed=seed)
        self._undo.enter_context(_faults.patched(plan, target))
        return plan

    @property
    def history(self) -> tuple[Injected, ...]:
        """What struck so far, of all plans, in the order of time."""
        told = (
            (began + struck.at, struck)
            for plan, began in zip(self.plans, self._began, strict=True)
            for struck in plan.history
        )
        return tuple(struck for _, struck in sorted(told, key=lambda one: one[0]))

    def __repr__(self) -> str:
        return f"<FaultInjector with seed {self.seed}, strikes: {len(self.history)}>"

    def __enter__(self) -> Self:
        self._undo.callback(random.setstate, random.getstate())
        random.seed(self.seed)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()
        if error is None:
            # A policy may have taken the misfit's error for the model's, and the test passed on it.
            for plan in self.plans:
                plan.refuse_misfits()


def _refuse_none(asked: str, faults: tuple[Fault, ...]) -> None:
    """Raise TypeError for no fault at all: a test that means to break something must not break nothing."""
    if not faults:
        raise TypeError(f"there must be at least one fault, got none; write {asked}, faults.hang()), say")
