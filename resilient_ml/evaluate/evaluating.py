"""``evaluate``: the same requests and the same faults, with and without protection."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import _checks
from .._colour import Colour, target_of
from ..testing import virtual_time
from ..testing.faults import FaultPlan
from .blocks import Blocks, Whole
from .configurations import Configuration, named
from .evaluation import Evaluation
from .facts import Facts
from .judging import Judge
from .kpis import KPI
from .objectives import Objective
from .oracle import Expected, Oracle
from .outages import Span, find_spans, outages_of
from .progress import progress_of
from .replies import Replies, Reply
from .results import Arm, compared
from .running import Run, Setting
from .series import Series
from .standard import standard_kpis
from .watching import alarms
from .workload import Traffic, Workload


def evaluate(
    model: Callable[..., Any],
    configurations: Configuration | Mapping[str, Configuration] = None,
    *,
    workload: Workload,
    faults: FaultPlan | None = None,
    seed: int = 0,
    objectives: Iterable[str | Objective] = (),
    kpis: Iterable[KPI] = (),
    oracle: Oracle | None = None,
    judge: Judge | None = None,
    complete: Callable[[list[Any]], bool] | None = None,
    price: float | Callable[[Reply], float] | None = None,
    in_time: float | None = None,
    patience: float = 30.0,
    in_a_row: int = 5,
    healthy: bool = True,
    virtual: bool = False,
    backend: str = "asyncio",
    colour: Colour | None = None,
    keep_answers: bool = False,
    memory: bool = False,
    level: float = 0.95,
    settle_seconds: float = 2.0,
    progress: bool | None = None,
) -> Evaluation:
    """Let each configuration serve the same requests under the same faults, and measure what callers got.

    Args:
        model: The callable to guard, of any colour.
        configurations: What stands around the model, by name: None for nothing, a
            :class:`~resilient_ml.Pipeline`, a policy, a decorator of any library, or a function without
            parameters that makes one. One that is not in a mapping is compared with the naked model. Policies
            are used as new, and from the healthy run to the faulty one, so that they meet the faults warm;
            yours stay as they are.
        workload: Which requests arrive when.
        faults: What goes wrong; each configuration has a fresh copy of the plan. None for nothing.
        seed: Of the arrivals, the faults and the statistics.
        objectives: What must hold, such as ``"guarded.availability >= 0.99"``: see :class:`Objective`.
        kpis: KPIs of your own beside the standard ones.
        oracle: A plain function that answers right, called with a request's arguments; or ``"healthy"`` for
            what the first configuration answers without faults. None to go by the requests' labels.
        judge: Whether an answer is right, ``(answer, expected) -> bool``; :func:`same` by default.
        complete: Whether a list of a stream's items is all of it; by default that is told by comparing with
            what is expected.
        price: What one call of the model costs, or a function of the reply; adds the KPI ``cost``, per
            request.
        in_time: An answer later than this many seconds is no goodput.
        patience: Seconds that a caller waits for one request before the request counts as hung; above 0.
        in_a_row: How many requests in a row make an outage or a recovery; from 1.
        healthy: Whether each configuration also serves the requests without faults, for ``overhead``.
        virtual: Whether time is virtual: waits take none, and code takes none, so that ``overhead`` shows
            only waits that a policy adds.
        backend: ``"asyncio"`` or ``"trio"``, for models that are awaited.
        colour: What the model is, where inspection cannot see it.
        keep_answers: Whether replies keep their answers.
        memory: Whether to measure the memory that is left behind; that makes a run about three times slower.
        level: The confidence of intervals and tests; above 0 and below 1.
        settle_seconds: How long threads and tasks may take to end after a run, before they are leaks; from 0.
        progress: Whether to show it on standard error; None to do so on a terminal.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: An argument is out of range, or an objective is about what the evaluation does not have.
        ModuleNotFoundError: The backend is not installed.

    >>> from resilient_ml import Retry
    >>> from resilient_ml.testing import faults
    >>> plan = faults.FaultPlan(faults.error(ConnectionError).with_probability(0.1))
    >>> evaluation = evaluate(
    ...     len, Retry(), workload=Workload.poisson(["a", "bb"], rate=50, seconds=20), faults=plan,
    ...     oracle=len, seed=7, virtual=True, objectives=["availability >= 99%", "wrong == 0"],
    ... )
    >>> evaluation.passed, evaluation.arms["naked"].kpis["availability"].value < 0.95
    (True, True)
    """
    target = target_of(model, colour)
    arms = named(configurations)
    if not isinstance(workload, Workload):
        raise TypeError(
            f"workload must be a Workload, got {_checks.shown(workload)}; "
            "pass Workload.poisson(requests, rate=50, seconds=60)"
        )
    if faults is not None and not isinstance(faults, FaultPlan):
        raise TypeError(
            f"faults must be a FaultPlan or None, got {_checks.shown(faults)}; "
            "pass FaultPlan(faults.error(ConnectionError).with_probability(0.1))"
        )
    _refuse_backend(backend, target.colour)
    if isinstance(objectives, str | Objective):
        raise TypeError(f"objectives must be a list, got one; pass [{str(objectives)!r}]")
    _checks.flag("virtual", virtual, remedy="True makes waits take no time")
    in_a_row = _checks.whole("in_a_row", in_a_row, at_least=1, remedy="pass 5, say")
    seed = _checks.whole("seed", seed, at_least=0, remedy="pass any whole number from 0")
    own = [*map(_kpi, kpis), *_cost(price)]
    measured = [*standard_kpis(in_time=_limit(in_time)), *own]
    _refuse_twice(measured)
    wanted = [one if isinstance(one, Objective) else Objective.parse(one) for one in objectives]
    for objective in wanted:
        objective.refuse_unknown(list(arms), [kpi.name for kpi in measured])
    traffic = workload.draw(seed)
    level = _checks.share("level", level, remedy="pass 0.95, say")
    if level == 1:
        raise ValueError("level must be below 1, got 1; nothing is certain, pass 0.95, say")
    setting = Setting(
        model,
        target.colour,
        traffic,
        seed,
        patience=_checks.seconds("patience", patience, remedy="pass how long a caller waits, in seconds"),
        backend=backend,
        settle_seconds=_checks.seconds("settle_seconds", settle_seconds, zero=True, remedy="pass 2, say"),
        memory=_checks.flag("memory", memory, remedy="True traces every allocation"),
    )
    series = Series(
        setting,
        faults=faults,
        seed=seed,
        expected=Expected(oracle, healthy=healthy),
        judge=None
        if judge is None
        else _checks.function("judge", judge, remedy="pass a function of an answer and what it should be"),
        complete=None
        if complete is None
        else _checks.function("complete", complete, remedy="pass a function of the list of a stream's items"),
        kpis=own,
        healthy=_checks.flag("healthy", healthy, remedy="False leaves the run without faults out"),
        keep_answers=_checks.flag("keep_answers", keep_answers, remedy="True keeps each answer in its reply"),
    )
    with progress_of(progress, len(arms) * (2 if healthy else 1) * len(traffic.requests)) as shown:
        runs: dict[str, tuple[str, Run, Run | None]] = {}
        for name, configuration in arms.items():
            with virtual_time() if virtual else contextlib.nullcontext():
                runs[name] = series.serve(name, configuration, shown)
    spans = _spans(faults, traffic, runs, in_a_row)
    blocks = Blocks(len(traffic.requests), seed=seed, strata=_strata(spans, runs))
    results = _arms(runs, spans, blocks, measured, level=level, in_a_row=in_a_row)
    comparisons = compared(list(results.values()), measured)
    return Evaluation(
        model=target.name,
        arms=results,
        comparisons=comparisons,
        findings=tuple(
            finding for objective in wanted for finding in objective.judge(results, comparisons, level=level)
        ),
        kpis=tuple(kpi for kpi in measured if any(kpi.name in arm.kpis for arm in results.values())),
        spans=spans,
        workload=str(workload),
        faults=() if faults is None else tuple(faults.describe().splitlines()),
        seed=seed,
        virtual=virtual,
        level=level,
    )


def _arms(
    runs: Mapping[str, tuple[str, Run, Run | None]],
    spans: Sequence[Span],
    blocks: Blocks,
    kpis: Sequence[KPI],
    *,
    level: float,
    in_a_row: int,
) -> dict[str, Arm]:
    naked_healthy: Replies | None = None
    arms: dict[str, Arm] = {}
    for name, (description, faulty, without) in runs.items():
        ours = None if without is None else without.replies
        naked_healthy = naked_healthy or ours
        facts = Facts(
            faulty.replies,
            faulty.calls,
            blocks,
            level,
            outages_of(spans, faulty.replies, alarms(faulty.states), in_a_row=in_a_row),
            faulty.leaks,
            ours,
            naked_healthy,
        )
        found = {kpi.name: interval for kpi in kpis if (interval := kpi.measure(facts)) is not None}
        arms[name] = Arm(name, description, faulty, facts, found)
    return arms


def _spans(
    faults: FaultPlan | None, traffic: Traffic, runs: Mapping[str, tuple[str, Run, Run | None]], in_a_row: int
) -> tuple[Span, ...]:
    """When the model was in trouble: as the plan says, or else as the first configuration shows."""
    first = next(iter(runs.values()))[1]
    if faults is not None:
        known = faults.windows(traffic.seconds or first.seconds)
        if known:
            return tuple(Span(begins, ends) for begins, ends in known)
    return find_spans(first.replies, in_a_row=in_a_row)


def _strata(spans: Sequence[Span], runs: Mapping[str, tuple[str, Run, Run | None]]) -> Whole:
    """Which requests arrived while the plan made trouble: 1, the others 0."""
    arrived = next(iter(runs.values()))[1].replies.arrived
    within = np.zeros(len(arrived), dtype=np.intp)
    for span in spans:
        if span.known:
            within[(arrived >= span.begins) & (arrived < span.ends)] = 1
    return within


def _refuse_backend(backend: str, colour: Colour) -> None:
    if backend not in ("asyncio", "trio"):
        raise ValueError(
            f"backend must be 'asyncio' or 'trio', got {_checks.shown(backend)}; pass one of them"
        )
    if colour.is_async and importlib.util.find_spec(backend) is None:
        raise ModuleNotFoundError(
            f"backend={backend!r} needs {backend}, which is not installed; install it with: "
            f"pip install {backend}",
            name=backend,
        )


def _kpi(given: KPI) -> KPI:
    if not isinstance(given, KPI):
        raise TypeError(
            f"kpis must be KPIs, got {_checks.shown(given)}; pass KPI('earned', earned, better='higher'), say"
        )
    return given


def _cost(price: float | Callable[[Reply], float] | None) -> list[KPI]:
    if price is None:
        return []
    if callable(price):
        return [KPI("cost", price, better="lower", text="cost of a request")]
    each = _checks.seconds("price", price, zero=True, remedy="pass what one call of the model costs")
    return [KPI("cost", lambda reply: each * reply.attempts, better="lower", text="cost of a request")]


def _limit(in_time: float | None) -> float | None:
    if in_time is None:
        return None
    return _checks.seconds(
        "in_time", in_time, remedy="pass the seconds after which an answer is worth nothing"
    )


def _refuse_twice(kpis: Sequence[KPI]) -> None:
    names = [kpi.name for kpi in kpis]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two KPIs are called {name!r}; give yours another name")
