"""The catalogue of faults of streams is sound, and clients are judged by what they deliver."""

from __future__ import annotations

import itertools
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import replace
from importlib import import_module, util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from resilient_ml import Reset, testing
from resilient_ml.testing import streaming, virtual_time
from resilient_ml.testing.streaming import (
    STREAM_CONTROLS,
    STREAM_FAULTS,
    Chunk,
    Cut,
    Final,
    Garble,
    Guarded,
    Provider,
    Say,
    Script,
    ServiceError,
    StreamFault,
    Verdict,
    score,
)

EVERY = (*STREAM_FAULTS, *STREAM_CONTROLS)
BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
BY_ID = {fault.id: fault for fault in EVERY}


def _sibling(name: str) -> ModuleType:
    spec = util.spec_from_file_location(f"streaming_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


clients = _sibling("clients")


@pytest.fixture(autouse=True)
def the_scripts_folder_is_importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(BENCHMARKS)):
            del sys.modules[name]


def named(fault: StreamFault) -> str:
    return fault.id


# ---- the catalogue


def test_there_are_sixteen_faults_each_with_a_name_and_advice() -> None:
    assert [fault.id for fault in STREAM_FAULTS] == [f"S{number:02}" for number in range(1, 17)]
    assert len({fault.title for fault in EVERY}) == len(EVERY)
    assert all(fault.good.endswith(".") and fault.within > 0 for fault in EVERY)
    assert all(fault.demands() for fault in EVERY)
    assert [fault.control for fault in EVERY] == [False] * 16 + [True] * 3
    assert testing.STREAM_FAULTS is STREAM_FAULTS
    assert testing.STREAM_CONTROLS is STREAM_CONTROLS


def test_a_fault_says_how_it_is_judged() -> None:
    assert BY_ID["S15"].demands() == (
        "each request gets a whole answer within 20 s, as it is made",
        "the primary is asked at most 4 times while it is down",
        "the primary serves again within 4 s of its recovery",
        "every stream that was opened is closed",
    )
    assert BY_ID["S02"].demands()[2] == "the primary is not asked again for 2 s"
    assert BY_ID["C01"].demands()[1:3] == (
        "the primary is asked at most once",
        "the secondary is asked at most 0 times",
    )
    assert "the client says who answered" in BY_ID["S16"].demands()


@pytest.mark.parametrize("fault", EVERY, ids=named)
def test_a_client_written_by_hand_can_pass(fault: StreamFault) -> None:
    told = score(clients.ideal, fault, "asyncio")
    assert (told.verdict, told.reasons) == (Verdict.PASS, ())


@pytest.mark.parametrize("colour", ["sync", "asyncio", "trio"])
@pytest.mark.parametrize("fault", EVERY, ids=named)
def test_no_client_at_all_passes_only_the_controls(fault: StreamFault, colour: Any) -> None:
    assert (score(clients.naked, fault, colour).verdict is Verdict.PASS) == fault.control


@pytest.mark.parametrize("colour", ["sync", "asyncio", "trio"])
@pytest.mark.parametrize("fault", EVERY, ids=named)
def test_this_library_passes_with_one_configuration(fault: StreamFault, colour: Any) -> None:
    told = score(import_module("stream_clients.ours").guarded, fault, colour)
    assert (told.verdict, told.reasons) == (Verdict.PASS, ())


@pytest.mark.parametrize("begins", [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5])
def test_the_outage_costs_four_attempts_at_most_whenever_it_begins(begins: float) -> None:
    outage = BY_ID["S15"]
    moved = replace(outage, primary=replace(outage.primary, down=(begins, begins + 60.0)), requests=30)
    told = score(import_module("stream_clients.ours").guarded, moved, "asyncio")
    assert told.verdict is Verdict.PASS, told.reasons


# ---- verdicts


@pytest.mark.parametrize(
    ("client", "fault", "verdict", "reason"),
    [
        ("naked", "S01", Verdict.SAFE, "ServiceError after 0.1 s"),
        ("naked", "S07", Verdict.PARTIAL, "took 23.7 s, of 20 s"),
        ("naked", "S11", Verdict.WRONG, "presented '' as the whole answer"),
        ("naked", "S12", Verdict.WRONG, "presented 'The capital of France is' as the whole answer"),
        ("naked", "S15", Verdict.SAFE, "asked the primary 15 times, of 4"),
        ("repeating", "S08", Verdict.WRONG, "presented 'The capital of FranceThe capital of F...' as the"),
        ("repeating_and_failing", "S08", Verdict.WRONG, "delivered 'The capital of FranceThe capital"),
        ("repeating_and_failing", "C01", Verdict.SAFE, "ValueError after 3.1 s"),
        ("collecting", "C01", Verdict.PARTIAL, "nothing was passed on before the answer was whole"),
        ("elsewhere", "C01", Verdict.PARTIAL, "asked the secondary 1 times, of 0"),
        ("elsewhere", "S15", Verdict.PARTIAL, "never came back to the primary"),
        ("elsewhere", "S16", Verdict.PARTIAL, "said that nobody answered, and secondary did"),
        ("impatient", "S02", Verdict.PARTIAL, "asked the primary again after 0.1 s, of 2 s"),
        ("impatient", "S15", Verdict.PARTIAL, " s, of 20 s"),
        ("leaking", "S07", Verdict.PARTIAL, "left 1 streams open"),
    ],
)
def test_each_verdict_has_its_reason(client: str, fault: str, verdict: Verdict, reason: str) -> None:
    told = score(getattr(clients, client), BY_ID[fault])
    assert told.verdict is verdict
    assert any(reason in one for one in told.reasons), told.reasons


def test_coming_back_late_is_told() -> None:
    def late(primary: Any, secondary: Any) -> Any:
        asked = []

        def stream(prompt: str) -> Iterator[Chunk]:
            asked.append(prompt)
            yield from (primary if len(asked) > 18 else secondary)(prompt)

        return stream

    told = score(late, BY_ID["S15"])
    assert told.reasons == ("came back to the primary after 12.0 s, of 4 s",)
    assert (told.attempts, told.elsewhere, told.back_seconds) == (0, 18, 12.0)


def test_a_reset_voids_what_came_before_it() -> None:
    def again(primary: Any, secondary: Any) -> Any:
        def stream(prompt: str) -> Iterator[Any]:
            yield next(primary(prompt))
            yield Chunk("What")
            yield Reset(2, 2)
            yield from secondary(prompt)

        return stream

    assert score(again, BY_ID["S07"]).verdict is Verdict.PASS


def test_a_client_may_give_an_iterator_or_a_coroutine_of_one() -> None:
    def plain(primary: Any, secondary: Any) -> Any:
        return Guarded(lambda prompt: itertools.islice(primary(prompt), None))

    def awaited(primary: Any, secondary: Any) -> Any:
        async def stream(prompt: str) -> Any:
            return Bare(primary(prompt))

        return stream

    assert score(plain, BY_ID["C01"]).verdict is Verdict.PASS
    assert score(awaited, BY_ID["C01"], "trio").verdict is Verdict.PASS


class Bare:
    """An async iterator without aclose()."""

    def __init__(self, chunks: AsyncIterator[Any]) -> None:
        self.chunks = chunks

    def __aiter__(self) -> AsyncIterator[Any]:
        return self.chunks


# ---- the provider


def test_a_provider_keeps_book() -> None:
    with virtual_time():
        provider = Provider(Script(("a", "b"), ((Say(1), Cut()), (Say(), Final()), (Say(),))), name="model")
        assert provider.stream.__name__ == provider.astream.__name__ == "model"
        with pytest.raises(ConnectionResetError):
            list(provider.stream("?"))
        left = provider.stream("?")
        next(left)
        assert provider.open == 1
        left.close()
        with closing(provider.stream("?", prefix="a")) as third:
            assert [chunk.text for chunk in third] == ["b"]
    assert [(one.number, one.end, one.prefix) for one in provider.attempts] == [
        (1, "broken", ""),
        (2, "left", ""),
        (3, "broken", "a"),
    ]


def test_who_has_the_last_chunk_need_not_come_back() -> None:
    with virtual_time():
        provider = Provider(Script((), ((Final(),),)))
        with closing(provider.stream("?")) as chunks:
            assert next(chunks).final == "stop"
    assert provider.attempts[0].end == "complete"


def test_a_continuation_goes_on_in_the_middle_of_a_piece() -> None:
    script = Script(("Wel", "come", "!"), knows=(("Good", "bye"),), continues=False)
    assert script.rest("Welco") == ["me", "!"]
    assert script.rest("Goodb") == ["ye"]
    assert script.rest("Hello") == ["Wel", "come", "!"]
    assert script.rest("Welcome!") == []
    with virtual_time(), pytest.raises(ServiceError) as caught:
        list(Provider(script).stream("?", prefix="Wel"))
    assert (caught.value.status_code, str(caught.value)) == (400, "the service answered 400")
    assert str(ServiceError(429, 2.0)) == "the service answered 429, retry after 2 s"


def test_garbage_takes_the_place_of_a_piece() -> None:
    with virtual_time():
        chunks = list(Provider(Script(("abc", "d"), ((Garble(), Say(), Garble(), Final()),))).stream("?"))
    assert [(chunk.text, chunk.raw) for chunk in chunks[:3]] == [
        ("", '{"text": "ab'),
        ("d", None),
        ("", "{"),
    ]


def test_every_public_name_is_there() -> None:
    assert all(hasattr(streaming, name) for name in streaming.__all__)


# ---- the script


def test_the_table_is_printed_and_kept(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    script = import_module("streams_survived")
    assert script.main(["--quick", "--why", "--json", str(tmp_path / "all.json")]) == 0
    printed = capsys.readouterr().out
    assert "S12" in printed and "S08" not in printed
    assert "as it comes, naked, S12: presented" in printed
    assert '"back_seconds": 0.0' in (tmp_path / "all.json").read_text()


def test_only_known_faults_and_libraries_are_taken(capsys: pytest.CaptureFixture[str]) -> None:
    script = import_module("streams_survived")
    with pytest.raises(SystemExit):
        script.main(["--libs", "nobody"])
    assert "unknown: nobody; choose of nopanic" in capsys.readouterr().err
