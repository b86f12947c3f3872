"""The benchmarks measure what they say: what is guarded answers, and what is fused by hand really guards.

Nothing here is timed: a benchmark's figures are for readers, on a machine of their own.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import sys
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from resilient_ml import BulkheadFull, CircuitOpen, ConstantBackoff, DeadlineExceeded, deadline

pytestmark = pytest.mark.once

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"
SCRIPTS = [
    "overhead_sync",
    "overhead_async",
    "overhead_timeout",
    "rejection",
    "threads",
    "streams",
    "drift_policy",
]
SYNC = ["retry", "breaker", "bulkhead", "fallback", "late_only", "three", "three_by_methods"]
ASYNC = ["retry", "breaker", "bulkhead", "timeout", "four"]

Fn = Callable[..., Any]


@pytest.fixture(autouse=True)
def the_scripts_folder_is_importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(FOLDER)):
            del sys.modules[name]


@pytest.fixture
def fused(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = import_module("fused")
    monkeypatch.setattr(module, "Backoff", lambda: ConstantBackoff(0.0))
    return module


@pytest.fixture
def fused_async(fused: ModuleType) -> ModuleType:
    return import_module("fused_async")


class Flaky:
    """Fails with each of the errors in turn, then answers; counts its calls."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.calls = 0

    def sync(self, x: int) -> int:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return x

    async def asynchronous(self, x: int) -> int:
        return self.sync(x)


def dead() -> Flaky:
    return Flaky(*[ConnectionError() for _ in range(100)])


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_prints_a_row_of_ours_for_each_of_its_figures(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = import_module(script)
    if script == "threads":
        monkeypatch.setattr(module, "SLEEP_SECONDS", 0.0)
    module.main(import_module("measuring").Options(rounds=1, calls=4))
    printed = capsys.readouterr().out
    assert "ours" in printed
    assert "nan" not in printed
    assert "tenacity " in printed  # its version, or that it is absent


def test_the_delays_of_ours_are_held_against_the_goals(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delays = import_module("drift_delays")
    monkeypatch.setattr(delays, "QUICK", import_module("drift_measuring").Plan(arl=50, seeds=2, streams=4))
    kept = tmp_path / "found.json"
    delays.main(["--quick", "--jobs", "1", "--only", "errors,classes", "--json", str(kept)])
    printed = capsys.readouterr().out
    assert "EShiryaevRoberts" in printed
    assert "CategoricalShiryaevRoberts" in printed
    assert "nan" not in printed
    assert "river " in printed  # its version, or that it is absent
    written = json.loads(kept.read_text(encoding="utf-8"))
    assert {one["stream"] for one in written["found"]} == {"errors 0.1", "10 classes"}
    assert [one["met"] for one in written["verdicts"] if one["goal"] == "(a)"] == ["yes", "yes"]


@pytest.mark.parametrize(
    ("ours", "theirs", "met"),
    [
        ((70, 5), (100, 5), "yes"),
        ((80, 10), (100, 10), "close"),
        ((90, 1), (100, 1), "no"),
        ((90, 1), (math.inf, 0), "yes"),  # in less than all of the 2000 observations
        ((math.inf, 0), (100, 1), "no"),
        ((math.inf, 0), (math.inf, 0), "-"),
    ],
)
def test_a_delay_is_held_against_the_best_peers_and_the_noise(
    ours: tuple[float, float], theirs: tuple[float, float], met: str
) -> None:
    delays, delay = import_module("drift_delays"), import_module("drift_measuring").Delay
    ratio = delays.against(delay(*ours), {"late": delay(math.inf, 0), "peer": delay(*theirs)}, 0.7)
    assert ratio.met == met
    assert delays.against(delay(*ours), {}, 0.7).met == "-"


def test_a_detector_is_tuned_to_the_run_length() -> None:
    measuring, watches = import_module("drift_measuring"), import_module("drift_watches")

    class Clockwork(watches.Watch):  # type: ignore[misc, name-defined]
        """Alarms once in so many observations."""

        def __init__(self, every: int) -> None:
            self.every, self.seen = every, 0

        def count(self, values: Any) -> int:
            alarms, self.seen = divmod(self.seen + len(values), self.every)
            return int(alarms)

        def first(self, values: Any) -> int:
            place = self.every - self.seen - 1
            alarms = place < len(values)
            self.seen = 0 if alarms else self.seen + len(values)
            return place if alarms else -1

    def tuned(step: int) -> list[float]:
        entry = watches.Entry(
            "clockwork",
            ("errors",),
            lambda reference, knob: Clockwork(step * max(1, round(knob / step))),
            watches.Knob(20.0, 2000.0, rarer=True),
        )
        plan = measuring.Plan(arl=300, streams=10)
        return [length.mean for _, length in measuring.tuned(entry, "errors 0.1", plan)]

    (fine,) = tuned(1)
    assert fine == pytest.approx(300, rel=0.05)
    below, above = tuned(200)
    assert (below, above) == (200, 600)  # streams of 600, so every 400 gives one alarm


def test_the_median_delay_counts_a_miss_as_late_and_lies_between_two_steps_of_a_knob() -> None:
    measuring = import_module("drift_measuring")
    assert measuring.median([1.0, 5.0, math.inf]).median == 5.0
    assert measuring.median([1.0, math.inf, math.inf]).median == math.inf
    assert measuring.median([float(one) for one in range(100)]) == measuring.Delay(49.5, 5.5)
    lengths = [measuring.RunLength(100_000, alarms, 0.1) for alarms in (100, 1)]
    sides = [measuring.Delay(20.0, 1.0), measuring.Delay(40.0, 2.0)]
    assert measuring.between(sides, lengths, 10_000) == measuring.Delay(30.0, 2.0)


def test_the_tabulated_test_of_two_samples_is_that_of_scipy() -> None:
    stats, watches = import_module("scipy.stats"), import_module("drift_watches")
    tabulated = watches.Tabulated(stats.ks_2samp)
    draw = random.Random(1)
    for _ in range(50):
        first, second = ([draw.gauss(place, 1.0) for _ in range(30)] for place in (0.0, draw.random()))
        assert tabulated.ks_2samp(first, second) == pytest.approx(tuple(stats.ks_2samp(first, second)))


def test_a_table_needs_no_rich(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    import_module("tables").table("title", ["name", "ns"], [["a", "1"], ["longer", "1,000"]])
    assert capsys.readouterr().out == "title\nname       ns\n------  -----\na           1\nlonger  1,000\n\n"


def test_a_ratio_is_the_median_over_the_rounds_to_the_baseline_of_the_same_round() -> None:
    measuring = import_module("measuring")
    load = iter([1, 1] + [factor for factor in (1, 7, 2, 9, 3) for _ in range(2)])
    current = [1]

    def baseline(calls: int) -> int:
        current[0] = next(load, 1)
        return 10 * calls * current[0]

    def case(calls: int) -> int:
        return 30 * calls * current[0]  # under the same load as the baseline before it

    absent = measuring.Case("absent", None)
    base, slow, none = measuring.measure(
        measuring.Case("base", baseline), [measuring.Case("slow", case), absent], measuring.Options(5, 10)
    )
    assert (base.ratio, slow.ratio, slow.least) == (1.0, 3.0, 30.0)
    assert none.ratio is None


def test_a_summary_holds_ours_against_the_goal_the_fused_and_the_peers() -> None:
    measuring, tables = import_module("measuring"), import_module("tables")

    def result(name: str, ratio: float | None, role: str, *, same: bool = False) -> Any:
        return measuring.Result(measuring.Case(name, None, role, same), ratio, 0.0)

    figure = tables.Figure(
        "retry",
        [
            result("closure", 1.0, "reference"),
            result("ours", 4.0, "ours"),
            result("by hand", 2.0, "fused"),
            result("bare", 1.5, "peer"),
            result("full", 8.0, "peer", same=True),
            result("missing", None, "peer", same=True),
        ],
        goal=3,
    )
    assert figure.summary() == ["retry", "3", "4.00", "no", "2.00 *", "bare 1.50", "full 8.00"]


def test_a_peer_that_is_not_installed_is_absent() -> None:
    peers = import_module("peers")
    missing = peers.Peer("missing", lambda: import_module("no_such_library_anywhere"))
    assert missing.make(len) is None


def test_every_peer_that_is_installed_answers_as_the_function_does() -> None:
    peers, comparison = import_module("peers"), import_module("comparison")
    tables = ["RETRY", "TIME_BREAKER", "COUNT_BREAKER", "BULKHEAD", "FALLBACK", "TIMEOUT", "THREE", "FOUR"]
    every = [peer for name in tables for peer in getattr(peers, name)]
    for peer in every:
        made = peer.make(comparison.identity) if peer.sync else None
        assert made is None or made(7) == 7, peer.name

    async def answers() -> None:
        for peer in every:
            made = peer.make(comparison.async_identity) if peer.asynchronous else None
            assert made is None or await made(7) == 7, peer.name

    asyncio.run(answers())


@pytest.mark.parametrize("name", SYNC)
def test_the_fused_pass_a_result_through_and_keep_the_callers_deadline(fused: ModuleType, name: str) -> None:
    guarded = getattr(fused, name)(Flaky().sync)
    assert guarded(7) == 7
    with deadline(5.0):
        assert guarded(7) == 7
    if name != "fallback":
        with deadline(0.0), pytest.raises(DeadlineExceeded):
            guarded(7)


@pytest.mark.parametrize("name", SYNC)
def test_the_fused_refuse_a_result_that_has_yet_to_run(fused: ModuleType, name: str) -> None:
    def tokens() -> Iterator[str]:
        yield "never pulled"

    guarded = getattr(fused, name)(tokens)
    with pytest.raises(TypeError):
        assert guarded() != 0


@pytest.mark.parametrize("name", ["retry", "three", "three_by_methods"])
def test_the_fused_retry_calls_three_times_at_most_and_only_for_what_may_pass(
    fused: ModuleType, name: str
) -> None:
    blip, broken, wrong = Flaky(ConnectionError(), ConnectionError()), dead(), Flaky(ValueError())
    guard = getattr(fused, name)
    assert guard(blip.sync)(7) == 7
    with pytest.raises(ConnectionError):
        guard(broken.sync)(7)
    with pytest.raises(ValueError):
        guard(wrong.sync)(7)
    assert (blip.calls, broken.calls, wrong.calls) == (3, 3, 1)


@pytest.mark.parametrize("name", ["breaker", "three", "three_by_methods"])
def test_the_fused_breaker_opens_and_refuses(fused: ModuleType, name: str) -> None:
    model = dead()
    guarded = getattr(fused, name)(model.sync)
    for _ in range(10):
        with pytest.raises((ConnectionError, CircuitOpen)):
            guarded(7)
    reached = model.calls
    with pytest.raises(CircuitOpen):
        guarded(7)
    assert model.calls == reached == 10


def test_the_fused_breaker_learns_nothing_from_an_interrupt(fused: ModuleType) -> None:
    guarded = fused.breaker(Flaky(*[KeyboardInterrupt() for _ in range(20)]).sync)
    for _ in range(20):
        with pytest.raises(KeyboardInterrupt):
            guarded(7)
    assert guarded(7) == 7


@pytest.mark.parametrize("name", ["bulkhead", "three"])
def test_the_fused_bulkhead_refuses_a_call_too_many_and_gives_every_seat_back(
    fused: ModuleType, name: str
) -> None:
    inner: list[Fn] = []
    guarded = getattr(fused, name)(lambda depth: inner[0](depth - 1) if depth else "in", limit=2)
    inner.append(guarded)
    for _ in range(3):
        assert guarded(1) == "in"
        with pytest.raises(BulkheadFull):
            guarded(2)


def test_the_fused_fallback_serves_its_value_unless_the_caller_is_to_blame(fused: ModuleType) -> None:
    assert fused.fallback(dead().sync, value="neutral")(7) == "neutral"
    with pytest.raises(ValueError):
        fused.fallback(Flaky(ValueError()).sync)(7)


def test_the_fused_timeout_returns_on_time_and_caps_the_threads_it_leaves(fused: ModuleType) -> None:
    over = threading.Event()
    guarded = import_module("fused_worker").timeout(
        lambda wait: over.wait() if wait else 7, seconds=0.001, max_abandoned=1
    )
    try:
        with pytest.raises(DeadlineExceeded):
            guarded(True)
        with pytest.raises(Exception, match="abandoned"):
            guarded(False)
    finally:
        over.set()


def test_the_fused_timeout_raises_what_the_function_raised(fused: ModuleType) -> None:
    with pytest.raises(ValueError):
        import_module("fused_worker").timeout(Flaky(ValueError()).sync, seconds=60.0)(7)


@pytest.mark.parametrize("name", ASYNC)
def test_the_fused_coroutines_pass_a_result_through_and_keep_the_callers_deadline(
    fused_async: ModuleType, name: str
) -> None:
    guarded = getattr(fused_async, name)(Flaky().asynchronous)

    async def run() -> None:
        assert await guarded(7) == 7
        with deadline(5.0):
            assert await guarded(7) == 7
        with deadline(0.0), pytest.raises(DeadlineExceeded):
            await guarded(7)

    asyncio.run(run())


@pytest.mark.parametrize("name", ["timeout", "four"])
def test_the_fused_coroutines_are_cancelled_at_the_limit_and_only_then(
    fused_async: ModuleType, name: str
) -> None:
    async def hang(x: int) -> None:
        await asyncio.Event().wait()

    async def run() -> None:
        with pytest.raises(DeadlineExceeded):
            await getattr(fused_async, name)(hang, seconds=0.001)(7)
        waiting = asyncio.ensure_future(getattr(fused_async, name)(hang, seconds=60.0)(7))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(run())


@pytest.mark.parametrize("name", ["retry", "four"])
def test_the_fused_coroutine_retry_calls_three_times_at_most(fused_async: ModuleType, name: str) -> None:
    blip, broken = Flaky(ConnectionError(), ConnectionError()), dead()

    async def run() -> None:
        assert await getattr(fused_async, name)(blip.asynchronous)(7) == 7
        with pytest.raises(ConnectionError):
            await getattr(fused_async, name)(broken.asynchronous)(7)

    asyncio.run(run())
    assert (blip.calls, broken.calls) == (3, 3)


@pytest.mark.parametrize("name", ["breaker", "four"])
def test_the_fused_coroutine_breaker_opens_and_refuses(fused_async: ModuleType, name: str) -> None:
    model = dead()
    guarded = getattr(fused_async, name)(model.asynchronous)

    async def run() -> None:
        for _ in range(10):
            with pytest.raises((ConnectionError, CircuitOpen)):
                await guarded(7)
        with pytest.raises(CircuitOpen):
            await guarded(7)

    asyncio.run(run())
    assert model.calls == 10
