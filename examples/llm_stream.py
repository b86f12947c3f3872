"""A real language model streams its answers through a bad connection: read naked, and read through policies.

Run it from anywhere; it takes about half a minute. The model runs on numpy alone, and its weights come from a
package: ``smollm2``, beside this file, says how to install it, and so does this, where it is not installed::

    OPENBLAS_NUM_THREADS=1 python examples/llm_stream.py

Read it from the top: the model, the policies around it, the bad luck, the reader, and both ways in turn.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from smollm2 import ModelMissing, SmolLM2

from resilient_ml import CircuitBreaker, Fallback, Pipeline, Retry, Stream, Timeout
from resilient_ml.testing import faults
from resilient_ml.testing.faults import Fault, FaultPlan

MAX_TOKENS = 24
PATIENCE_SECONDS = 4.0
"""How long a reader without policies waits for an answer that hangs."""
PAUSE_SECONDS = 0.8
"""From here on a reader notices that nothing comes."""


# 1. The model, as a vendor's client gives it: chunks, the last of which says that it is the last.


@dataclass(frozen=True)
class Chunk:
    """A piece of an answer."""

    text: str
    final: bool = False


Ask = Callable[..., Iterator[Chunk]]


def provider(model: SmolLM2) -> Ask:
    """*model* as the one that is worth asking."""

    def ask(question: str, prefix: str = "") -> Iterator[Chunk]:
        for text in model.stream(question, MAX_TOKENS, prefix=prefix):
            yield Chunk(text)
        yield Chunk("", final=True)

    return ask


def stand_in(model: SmolLM2) -> Ask:
    """*model* as one that stands elsewhere, out of reach of those faults, and is told to be brief."""

    def ask_briefly(question: str, prefix: str = "") -> Iterator[Chunk]:
        chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": question}]
        for text in model.stream(chat, MAX_TOKENS // 2, prefix=prefix):
            yield Chunk(text)
        yield Chunk("", final=True)

    return ask_briefly


# 2. The policies. This is all that a caller adds.


def go_on(args: tuple[Any, ...], kwargs: dict[str, Any], partial: tuple[Chunk, ...]) -> Any:
    """The call that continues an answer: the same question, and what the reader has already."""
    return args, {**kwargs, "prefix": "".join(chunk.text for chunk in partial)}


def protect(elsewhere: Ask) -> Pipeline:
    """What stands between the reader and the provider, outermost first."""
    return Pipeline(
        Fallback(elsewhere),  # when all else fails: the other model, from where the first one stopped
        Stream(
            is_content=lambda chunk: bool(chunk.text),
            is_final=lambda chunk: chunk.final,  # an answer without its last chunk is cut, not short
            is_valid=lambda chunk: isinstance(chunk, Chunk),  # a chunk that is garbage ends the attempt
            on_interrupt="continue",
            continuation=go_on,
        ),
        Retry(attempts=3),
        CircuitBreaker(),  # once half the calls have failed, the provider is left alone for a while
        Timeout(total=30, first=2.0, gap=1.0),  # a stream that hangs is given up, and gone on with
    )


# 3. The bad luck: one fault for each question.


@dataclass(frozen=True)
class Case:
    """A question, and what happens to its answer.

    Attributes:
        title: What goes wrong.
        question: What the model is asked.
        words: What a right answer has in it.
        fault: What goes wrong, as the library's faults say it.
    """

    title: str
    question: str
    words: tuple[str, ...]
    fault: Fault


CASES = [
    Case(
        "The first token does not come",
        "How many days are in a week?",
        ("7 days",),
        faults.stall(at=0).times(1),
    ),
    Case(
        "It stalls in the middle",
        "What are the four seasons of the year?",
        ("Spring", "Summer", "Autumn", "Winter"),
        faults.stall(at=9).times(1),
    ),
    Case(
        "The connection breaks in the middle",
        "Name three fruits.",
        ("Bananas", "Oranges", "Grapes"),
        faults.cut(after=7, error=ConnectionError).times(1),
    ),
    Case(
        "A chunk is garbage",
        "Name three primary colors.",
        ("Red", "Blue", "Yellow"),
        faults.malformed_items(share=0.3).times(1),
    ),
    Case(
        "It ends early, and nothing tells",
        "In which city is the Eiffel Tower?",
        ("Paris",),
        faults.truncated(after=6).times(1),
    ),
    Case(
        "The provider is down",
        "What is the capital of Japan?",
        ("Tokyo",),
        faults.error(ConnectionError),
    ),
]


# 4. The reader: sees each piece as it comes, and notices pauses.


@dataclass(frozen=True)
class Reading:
    """What came of one answer.

    Attributes:
        text: All that was read.
        right: Whether it came to its end, and has what a right answer has.
        seconds: How long that took.
    """

    text: str
    right: bool
    seconds: float


def read(ask: Ask, case: Case, plan: FaultPlan) -> Reading:
    """Print the answer as it comes. Once patience ends, *plan* lets go of whatever hangs."""
    patience = threading.Timer(PATIENCE_SECONDS, plan.release)
    patience.start()
    began = last = time.monotonic()
    text, whole = "", False
    try:
        for chunk in ask(case.question):
            if (pause := time.monotonic() - last) > PAUSE_SECONDS:
                show(f"[{pause:.1f} s] ")
            show(chunk.text)
            text, whole, last = text + chunk.text, whole or chunk.final, time.monotonic()
        show("" if whole else " ✂ and it looks as if that were all")
    except faults.HangReleased:
        show(f" ⏳ nothing for {time.monotonic() - last:.1f} s; the reader leaves")
    except Exception as error:  # noqa: BLE001, what a reader without policies meets can be anything
        show(f" ✂ {type(error).__name__}: {error}".rstrip(": "))
    finally:
        patience.cancel()
        plan.release()  # whatever still hangs on a thread that was left behind
    print()
    right = whole and all(word in text for word in case.words)
    return Reading(text, right, time.monotonic() - began)


def show(text: str) -> None:
    """Print a piece of a line at once."""
    print(text.replace("\n", " ⏎ "), end="", flush=True)


# 5. Both ways in turn, under the same bad luck.


class Counted:
    """*ask*, and how many times it was called."""

    def __init__(self, ask: Ask) -> None:
        self.calls = 0
        self._ask = ask

    def ask(self, question: str, prefix: str = "") -> Iterator[Chunk]:
        """The answer of what is counted."""
        self.calls += 1
        yield from self._ask(question, prefix)


def main() -> None:
    """Load the model, ask each question both ways, and say what it came to."""
    try:
        model = SmolLM2()
    except ModelMissing as missing:
        print(missing)
        return
    other = Counted(stand_in(model))
    guard = protect(other.ask)
    rows = []
    for case in CASES:
        print(f"\n{case.title}: {case.question}")
        readings, calls = [], []
        for way in ("naked", "guarded"):
            plan = FaultPlan(case.fault, seed=1)  # the same luck for both
            asked, helped = Counted(plan.inject(provider(model))), other.calls
            show(f"  {way:<9}")
            ask = asked.ask if way == "naked" else guard(asked.ask)
            readings.append(read(ask, case, plan))
            calls.append(asked.calls + other.calls - helped)
        rows.append((case.title, readings, calls))
    report(rows)


def report(rows: list[tuple[str, list[Reading], list[int]]]) -> None:
    """A line for each question, and one for all."""
    print(f"\n{'':37}{'naked':<24}guarded")
    for title, readings, calls in rows:
        cells = [
            f"{'right' if one.right else 'wrong'}, {one.seconds:.1f} s, calls: {asked}"
            for one, asked in zip(readings, calls, strict=True)
        ]
        print(f"{title:<37}{cells[0]:<24}{cells[1]}")
    right = [sum(readings[way].right for _, readings, _ in rows) for way in (0, 1)]
    spent = [sum(calls[way] for _, _, calls in rows) for way in (0, 1)]
    cells = [f"{good} of {len(rows)}, calls: {asked}" for good, asked in zip(right, spent, strict=True)]
    print(f"{'Right answers':<37}{cells[0]:<24}{cells[1]}")


if __name__ == "__main__":
    main()
