"""Each public name in use, as mypy and pyright must see it. Never run: only type-checked."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any, TypeVar, assert_type

import numpy as np

from resilient_ml import (
    AdaptiveGap,
    AdaptiveLimiter,
    Attempt,
    Backoff,
    BadRows,
    Budget,
    BudgetExhausted,
    Bulkhead,
    BulkheadFull,
    Cache,
    CacheStatistics,
    Call,
    CircuitBreaker,
    CircuitOpen,
    Coalesce,
    Colour,
    ConstantBackoff,
    Contract,
    DeadlineExceeded,
    DecorrelatedBackoff,
    DriftDetector,
    Fallback,
    Hedge,
    HotKeyLimiter,
    InvalidOutput,
    Keyed,
    Kind,
    LimitExceeded,
    OomSplit,
    Outcome,
    Pipeline,
    Policy,
    Proceed,
    Queue,
    RateLimited,
    RateLimiter,
    Rejected,
    Reset,
    ResilienceError,
    Retry,
    RetryBudget,
    RowIsolation,
    RowResult,
    Stream,
    StreamInterrupted,
    StreamTimeout,
    StreamTruncated,
    SurgeGuard,
    Throttle,
    Timeout,
    WorkerCrashed,
    deadline,
    events,
    kind_of,
    register_kind,
    remaining,
)
from resilient_ml.contracts import (
    Check,
    Confidence,
    DType,
    Finite,
    Language,
    Length,
    NoRepetition,
    Norm,
    Pattern,
    Probabilities,
    Range,
    Schema,
    Script,
    Shape,
)
from resilient_ml.drift import (
    ADWIN,
    CUSUM,
    DDM,
    HDDMA,
    HDDMW,
    AccuracyEstimate,
    Calibration,
    CategoricalShiryaevRoberts,
    Classes,
    Combined,
    ConformalShiryaevRoberts,
    Detector,
    Distance,
    ECusum,
    EShiryaevRoberts,
    Evidence,
    Level,
    Losses,
    MarkovShiryaevRoberts,
    Numbers,
    PageHinkley,
    RandomFeatureAverages,
    SeasonalCategorical,
    SeasonalFeatureAverages,
    SeasonalShiryaevRoberts,
    StratifiedShiryaevRoberts,
    Thinned,
    Vectors,
    WhitenedShiryaevRoberts,
    WindowedKS,
    calibration_error,
    chi_square,
    jensen_shannon,
    ks,
    mmd,
    psi,
    wasserstein,
)

T = TypeVar("T")
Rows = np.ndarray[tuple[int, int], np.dtype[np.float64]]


# -- a policy as a decorator keeps the signature, in all four colours -------------------


@Retry(attempts=3)
def predict(rows: Rows, *, top: int = 1) -> list[str]:
    return ["ham"] * len(rows) * top


@CircuitBreaker()
async def apredict(rows: Rows) -> list[str]:
    return ["ham"] * len(rows)


@Bulkhead(4, queue=8, queue_seconds=0.5)
def tokens(prompt: str) -> Iterator[str]:
    yield prompt


@Timeout(0.250)
async def atokens(prompt: str) -> AsyncIterator[str]:
    yield prompt


def colours(rows: Rows) -> None:
    assert_type(predict(rows, top=2), list[str])
    assert_type(tokens("hello"), Iterator[str])
    assert_type(atokens("hello"), AsyncIterator[str])
    same: Callable[[Rows], Coroutine[Any, Any, list[str]]] = apredict
    del same


class Model:
    """Methods of every sort."""

    @Retry()
    def predict(self, text: str) -> float:
        return float(len(text))

    @Retry()
    async def apredict(self, text: str) -> float:
        return float(len(text))

    @classmethod
    @Retry()
    def by_class(cls, text: str) -> float:
        return float(len(text))

    @staticmethod
    @Retry()
    def by_itself(text: str) -> float:
        return float(len(text))


async def methods(model: Model) -> None:
    assert_type(model.predict("a"), float)
    assert_type(await model.apredict("a"), float)
    assert_type(Model.by_class("a"), float)
    assert_type(Model.by_itself("a"), float)


# -- a pipeline guards, calls and tells -------------------------------------------------


def draw_key(text: str) -> str:
    return text


budget = RetryBudget(ratio=0.2, floor=1.0, burst=10.0)
guard = Pipeline(
    Fallback(0.0, when_all_out="wait", wait_seconds=5.0),
    Retry(
        3,
        on=(ConnectionError, Kind.OVERLOAD),
        retry_result=lambda value: value is None,
        backoff=Backoff(base=0.1, cap=10.0),
        backoff_by_kind={
            Kind.RATE_LIMITED: DecorrelatedBackoff(1.0, 60.0),
            Kind.CONNECTION: ConstantBackoff(0.0),
        },
        budget=budget,
        retry_after_cap=120.0,
    ),
    Keyed(lambda: CircuitBreaker(window_calls=100, failure_rate=None), key=draw_key, max_keys=16),
    Cache(64 << 20, ttl=60, stale=10, stale_if_error=600.0, version=lambda: "v1", jitter=0.1),
    Coalesce(key=draw_key, hand_overs=2),
    HotKeyLimiter(key=draw_key, hot_share=0.2),
    Throttle(multiplier=1.5, window_seconds=30, max_rejection=0.8, refusals=(Kind.OVERLOAD, ConnectionError)),
    SurgeGuard(50, patience=0.5, cost=len, band=draw_key, bands=("a", "b"), window=10),
    SurgeGuard(lambda: 4 * 12.5),
    AdaptiveLimiter(initial=8, maximum=64, deadline=2.0, cost=len, queue=Queue(size=8)),
    Bulkhead(8),
    Bulkhead(
        8192,
        cost=len,
        queue=Queue(size=100, max_cost=1e6, order="deadline", tenant=draw_key, target_seconds=0.5),
    ),
    Hedge(len, delay=0.05, quantile=0.9, ratio=0.1, hedges=2, accept=bool, minimum_calls=50, max_abandoned=8),
    RateLimiter(600, tokens=90_000, per=60, window="bucket", burst=0.5, wait=5, oversize="drain", usage=len),
    Budget(20.0, per=3600, unit="usd", cost=len, spent=len, soft=0.5, within=Budget(5, unit="calls")),
    Contract(
        Finite(),
        Range(0, 1, of="score", then="repair"),
        Schema(dict[str, float]),
        Check(len, repair=str),
        inputs={"text": [Length(1, 100)], 1: Finite()},
        rows=True,
        max_bad=0.1,
        blank=0.0,
        text_of=str,
    ),
    Timeout(0.250, late_only=True, max_abandoned=8),
    name="embedder",
)


def go_on(
    args: tuple[Any, ...], kwargs: dict[str, Any], partial: tuple[str, ...]
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    return (args, {**kwargs, "prefix": "".join(partial)}) if partial else None


def differ(made: str, label: str) -> bool:
    return made != label


rows_guard = Pipeline(
    RowIsolation(
        "rows",
        on_bad="fill",
        fill=0.0,
        on=["bad_input", Kind.UNKNOWN],
        rows_of_error=lambda error: None,
        max_calls=64,
        quarantine=10,
        quarantine_seconds=60,
        size=len,
        take=lambda batch, rows: [batch[row] for row in rows],
        join=lambda parts, count: [one for _, part in parts for one in part],
    ),
    OomSplit("rows", cost=len, ceiling=4096, on_oom=print, clean=10, seconds=30),
)
result: RowResult = BadRows(results=(RowResult(True, 1, None, None),)).results[0]
watch = DriftDetector(
    Numbers("confidence", max, memory=False),
    Classes("label", str, side="input", strata=lambda: "noon"),
    Vectors("row", side="input", names=("age", "income"), strata=lambda: "noon"),
    Losses("errors", differ, tolerated=0.1),
    Calibration("calibration", differ, tolerated=0.05, between=(0.9, 1.0)),
    arl=1e6,
    reference_size=500,
    references={"confidence": [0.5] * 100},
    version=lambda: "v1",
    segment=draw_key,
    sample=0.5,
    action="refuse",
    probe=0.2,
    breaker=CircuitBreaker(),
    on_change=lambda change: print(change.evidence, change.parts),
    rearm=100,
    max_segments=4,
    queue=128,
    key=draw_key,
    prediction=str,
    confidence=float,
    calibration=([0.5] * 100, [1] * 100),
    pending=100,
    label_seconds=60.0,
)
apart: Distance = psi([1.0, 2.0], [1.0, 3.0], bins=2)
others: list[Distance] = [
    jensen_shannon([1.0, 2.0], [1.0, 3.0]),
    ks([1.0, 2.0], [1.0, 3.0]),
    wasserstein([1.0, 2.0], [1.0, 3.0], seed=1),
    chi_square(["a"], ["b"]),
    mmd([[1.0], [2.0]], [[1.0], [3.0]]),
    calibration_error([0.9], [True], bins=10, seed=1),
]
estimated: AccuracyEstimate | None = watch.accuracy()
state_of_drift: str = watch.state("segment")
uncounted: int = watch.dropped + watch.not_finite
joined: bool = watch.label("id", "cat")
text_contract = Contract(
    Length(1, 8000, blank=True),
    Pattern("yes|no", never="<", flags=2),
    NoRepetition(4, span=64, share=0.5, then="warn"),
    Script("latin", share=0.9, letters=10),
    Language("en", detect=lambda text: "en"),
    inputs=Length(1),
)
array_contract = Contract(
    Shape(None, 3, of=0),
    DType("float32", then="repair"),
    Probabilities(0.1, of=lambda answer: answer),
    Norm(1.0, tolerance=0.1, least=1e-9, constant=True),
    Confidence(0.5, margin=0.1, then="abstain", name="sure"),
)
tokens_guard: Pipeline = Pipeline(
    Stream(
        is_content=bool,
        is_final=lambda chunk: chunk == "end",
        error_of=lambda chunk: ConnectionError() if chunk == "!" else None,
        is_valid=str.isprintable,
        malformed=lambda chunk: chunk.strip(),
        malformed_max=2,
        commit_after=1.5,
        on_interrupt="continue",
        continuation=go_on,
        text_of=str,
        with_text=lambda chunk, text: text,
        heartbeats_count=True,
        end_seconds=2.0,
        keep=100,
        name="chat",
    ),
    Timeout(total=60, first=5, gap=AdaptiveGap(floor=1.0, multiple=4, ceiling=30)),
)


@tokens_guard
def chat(prompt: str, prefix: str = "") -> Iterator[str]:
    yield prompt


chunks: Iterator[str] = chat("hello", prefix="")


Told = tuple[str | None, float | None, float, tuple[Any, ...] | None]


def told(late: StreamTimeout) -> tuple[DeadlineExceeded, StreamInterrupted, Told]:
    spent = late.waited_seconds + late.reader_seconds
    return late, late, (late.phase, late.first_seconds, spent, late.partial)


void: Reset = Reset(discarded=2, attempt=3)
counts: tuple[int, int] = (void.discarded, void.attempt)


@guard
def embed(text: str) -> float:
    return float(len(text))


@guard
async def aembed(text: str) -> float:
    return float(len(text))


async def pipelines() -> None:
    assert_type(embed("hello"), float)
    assert_type(await aembed("hello"), float)
    assert_type(guard.call(embed, "hello"), float)
    assert_type(await guard.acall(embed, "a plain function"), float)
    assert_type(await guard.acall(aembed, "a coroutine function"), float)
    assert_type(guard.outcome(embed, "hello"), Outcome[float])
    assert_type(await guard.aoutcome(embed, "hello"), Outcome[float])
    assert_type(await guard.aoutcome(aembed, "hello"), Outcome[float])


def outcomes(outcome: Outcome[float]) -> None:
    assert_type(outcome.value, float | None)
    assert_type(outcome.error, BaseException | None)
    assert_type(outcome.ok, bool)
    assert_type(outcome.kind, Kind | None)
    assert_type(outcome.served_by, str | None)
    assert_type(outcome.degraded, bool)
    assert_type(outcome.attempts, tuple[Attempt, ...])
    assert_type(outcome.seconds, float)
    assert_type(outcome.unwrap(), float)
    for attempt in outcome.attempts:
        assert_type(attempt.target, str)
        assert_type(attempt.kind, Kind | None)
        assert_type(attempt.started, float)
        assert_type(attempt.seconds, float)


# -- time, kinds, errors, events --------------------------------------------------------


def times() -> None:
    with deadline(0.5):
        assert_type(remaining(), float)


def kinds(error: Exception) -> None:
    assert_type(kind_of(error), Kind)
    register_kind(KeyError, Kind.BAD_INPUT)


def errors(error: ResilienceError) -> None:
    if isinstance(error, Rejected):
        assert_type(error.retry_after, float | None)
        assert_type(error.policy, str | None)
    elif isinstance(error, DeadlineExceeded):
        assert_type(error.seconds, float | None)
        timeout: TimeoutError = error
        del timeout
    elif isinstance(error, StreamInterrupted):
        assert_type(error.delivered, int)
    elif isinstance(error, WorkerCrashed):
        assert_type(error.exitcode, int | None)
    elif isinstance(error, InvalidOutput):
        assert_type(error.rule, str | None)


REJECTIONS: tuple[type[Rejected], ...] = (
    CircuitOpen,
    BulkheadFull,
    LimitExceeded,
    RateLimited,
    BudgetExhausted,
)
INTERRUPTIONS: tuple[type[StreamInterrupted], ...] = (StreamTruncated,)


def listens(event: events.Event) -> None:
    if isinstance(event, events.RetryScheduled):
        assert_type(event.delay, float)
    elif isinstance(event, events.BreakerChanged):
        assert_type((event.before, event.after), tuple[str, str])


def watching() -> None:
    with events.subscribe(listens):
        events.log_to(logging.getLogger("models")).close()
    Retry(name="named", on_event=listens)


# -- operators --------------------------------------------------------------------------


def operate(breaker: CircuitBreaker, bulkhead: Bulkhead, throttle: Throttle) -> None:
    breaker.force_open()
    breaker.force_closed()
    breaker.disable()
    breaker.reset()
    breaker.restore(breaker.snapshot())
    assert_type(throttle.rejection, float)
    throttle.reset()
    surge = SurgeGuard(50)
    assert_type(surge.demand, float)
    assert_type(surge.surging, bool)
    assert_type(bulkhead.limit, float)
    cache = Cache()
    assert_type(cache.statistics(), CacheStatistics)
    assert_type(cache.invalidate("a"), bool)
    cache.clear()
    assert_type(HotKeyLimiter(key=draw_key).hottest(3)[0].share, float)
    assert_type(bulkhead.in_flight, int)
    assert_type(bulkhead.waiting, int)


# -- a policy of one's own --------------------------------------------------------------


class Watch(Policy):
    """One body for every colour."""

    async def around(self, proceed: Proceed[T], call: Call) -> T:
        began = call.now()
        result = await proceed(call)
        assert_type(call.now() - began, float)
        await call.runtime.sleep(0.0)
        return result


def own(fn: Callable[[str], Awaitable[int]]) -> None:
    assert_type(Watch()(fn), Callable[[str], Awaitable[int]])
    assert_type(Colour.CALL.is_async, bool)


def watch_for_drift(scores: list[float]) -> None:
    errors = EShiryaevRoberts(0.1, arl=30_000, direction="both", tolerated_low=0.05)
    assert_type(errors.update(1.0), bool)
    assert_type(errors.evidence, Evidence | None)
    assert_type(ECusum.from_reference(scores), ECusum)
    assert_type(ConformalShiryaevRoberts.from_state({}), ConformalShiryaevRoberts)
    watched: list[Detector] = [
        errors,
        ConformalShiryaevRoberts(scores),
        WhitenedShiryaevRoberts(scores),
        SeasonalShiryaevRoberts(np.array([scores, scores]).T, arl=30_000),
        SeasonalCategorical(np.array([scores, scores]).T, arl=30_000, effective_size=50, swing=0.1),
        SeasonalFeatureAverages(np.array([scores, scores]).T, arl=30_000, seed=2, effective_size=50),
        StratifiedShiryaevRoberts(np.array([scores, scores]).T, arl=30_000),
        MarkovShiryaevRoberts(scores, arl=30_000),
        WindowedKS(scores, arl=30_000, windows=[50, 200]),
        CategoricalShiryaevRoberts(scores, categories=3),
        Combined([ConformalShiryaevRoberts(scores, arl=20_000), WindowedKS(scores, arl=20_000)]),
        RandomFeatureAverages(np.array([scores]), seed=1),
        CUSUM(scores, arl=30_000),
        ADWIN(delta=0.002, clock=32, max_buckets=5, min_window=5, grace=10),
        PageHinkley(min_instances=30, delta=0.005, threshold=50.0, alpha=0.9999, mode="both"),
        Thinned(lambda quiet, arl: EShiryaevRoberts.from_reference(quiet, arl=arl), scores, every=2, arl=100),
        DDM(warm_start=30, warning_threshold=2.0, drift_threshold=3.0),
        HDDMA(drift_confidence=0.001, warning_confidence=0.005, two_sided=True),
        HDDMW(drift_confidence=0.001, warning_confidence=0.005, lambda_=0.05, two_sided=True),
    ]
    window = ADWIN.from_state({})
    assert_type(window, ADWIN)
    assert_type((window.width, window.mean), tuple[int, float])
    assert_type(window.update(1.0), bool)
    assert_type(window.level, Level)
    for detector in watched:
        detector.update_many(scores)
        assert_type(detector.state(), dict[str, Any])
