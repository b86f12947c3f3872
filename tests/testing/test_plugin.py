"""The pytest plugin, in sessions of its own: what a test that uses it sees, and what a failing one shows."""

import numpy as np  # noqa: F401 - sessions in this process must not import it anew, which it cannot bear
import pytest

import resilient_ml.testing.injector  # noqa: F401 - the same
from resilient_ml.testing.plugin import seed_of

SHOP = """
import random

def embed(text):
    return text.upper()

class Model:
    @staticmethod
    def predict(rows):
        return [0.5 for row in rows]
"""

INI = """
[pytest]
addopts = -p no:cacheprovider -p no:randomly
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""


@pytest.fixture
def session(pytester, monkeypatch):
    """A folder with a module to break; runs pytest on the tests it is given."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makefile(".ini", pytest=INI)
    pytester.makepyfile(shop=SHOP)

    def run(tests, *options):
        pytester.makepyfile(test_shop=tests)
        apart = any(option.startswith("-n") for option in options)
        return (pytester.runpytest_subprocess if apart else pytester.runpytest_inprocess)(*options)

    run.path = pytester.path
    return run


def test_an_attribute_is_struck_in_its_test_and_whole_in_the_next(session):
    ran = session(
        """
        import pytest, shop

        def test_broken(faults):
            faults.patch("shop.embed", faults.error(ConnectionError).first(1))
            faults.patch("shop.Model.predict", faults.nan())
            with pytest.raises(ConnectionError):
                shop.embed("a")
            assert shop.embed("a") == "A"
            assert str(shop.Model.predict([1])) == "[nan]"
            assert [one.target for one in faults.history] == ["shop.embed", "shop.Model.predict"]

        def test_whole(faults):
            assert shop.embed("a") == "A"
            assert shop.Model.predict([1]) == [0.5]
            assert isinstance(vars(shop.Model)["predict"], staticmethod)

        def test_wrapped(faults):
            safe = faults.wrap(shop.embed, faults.error("overload").on_calls(2))
            assert safe("a") == "A"
            with pytest.raises(Exception) as caught:
                safe("a")
            assert shop.embed("a") == "A"

        def test_a_fault_that_there_is_not(faults):
            with pytest.raises(AttributeError, match="there is no fault 'gremlin'"):
                faults.gremlin()
        """
    )
    ran.assert_outcomes(passed=4)


def test_what_hangs_is_let_go_when_the_test_ends(session):
    ran = session(
        """
        import threading, shop

        threads, ends = [], []

        def test_hangs(faults):
            model = faults.wrap(shop.embed, faults.hang())

            def ask():
                try:
                    model("a")
                except faults.HangReleased as end:
                    ends.append(end)

            threads.append(threading.Thread(target=ask))
            threads[0].start()

        def test_after():
            threads[0].join(10)
            assert len(ends) == 1
        """
    )
    ran.assert_outcomes(passed=2)


def test_a_failure_shows_the_seed_what_struck_and_what_the_policies_did(session):
    failing = """
        import shop
        from resilient_ml import Fallback

        def test_down(faults, events):
            faults.patch("shop.embed", faults.error(ConnectionError))
            assert Fallback("neutral", name="guard")(shop.embed)("a") == "A"
        """
    ran = session(failing, "--fault-seed=11")
    ran.assert_outcomes(failed=1)
    own = seed_of(11, "test_shop.py::test_down")
    ran.stdout.fnmatch_lines(
        [
            "faults: seed 11, scale 1",
            "*- faults -*",
            f"run it again with --fault-seed=11  (this test's own seed: {own})",
            "strikes: 1",
            "*shop.embed*",
            "*- events -*",
            "*FallbackServed policy='guard' target='a value of type str' kind='connection'*",
        ]
    )


SEEDS = """
    import pathlib, random, shop, pytest
    from resilient_ml import Retry

    @pytest.mark.parametrize("number", range(6))
    def test_luck(faults, number):
        model = faults.wrap(shop.embed, faults.error(ConnectionError).with_probability(0.5))
        for _ in range(20):
            try:
                model("a")
            except ConnectionError:
                pass
        luck = [faults.seed, [one.call for one in faults.history], random.random()]
        pathlib.Path(f"luck-{number}.txt").write_text(repr(luck))
    """


def lucks(session, *options):
    session(SEEDS, *options).assert_outcomes(passed=6)
    files = sorted(session.path.glob("luck-*.txt"))
    told = [file.read_text() for file in files]
    for file in files:
        file.unlink()
    return told


@pytest.mark.once
def test_the_same_seed_is_the_same_luck_in_any_order_and_on_any_worker(session):
    first = lucks(session)
    assert len(set(first)) == 6
    assert lucks(session, "-n2") == first
    assert lucks(session, "--fault-seed=12") != first


def test_every_worker_has_the_random_seed_of_its_session(session):
    ran = session(
        """
        import pathlib, pytest

        @pytest.mark.parametrize("number", range(4))
        def test_seed(request, faults, number):
            from resilient_ml.testing.plugin import _SEED
            pathlib.Path(f"seed-{number}.txt").write_text(str(request.config.stash[_SEED]))
        """,
        "-n2",
        "--fault-seed=random",
    )
    ran.assert_outcomes(passed=4)
    seeds = {file.read_text() for file in session.path.glob("seed-*.txt")}
    assert len(seeds) == 1


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--fault-seed=-1", "--fault-seed must be a whole number or 'random', got '-1'"),
        ("--fault-seed=luck", "--fault-seed must be a whole number or 'random', got 'luck'"),
        ("--fault-scale=-1", "--fault-scale must be a number from 0, got '-1'; 1 changes nothing"),
        ("--fault-scale=much", "--fault-scale must be a number from 0, got 'much'; 1 changes nothing"),
        ("--fault-scale=nan", "--fault-scale must be a number from 0, got 'nan'; 1 changes nothing"),
    ],
)
def test_a_wrong_option_says_what_would_be_right(session, option, text):
    ran = session("def test_nothing(): pass", option)
    assert ran.ret != 0
    assert text in ran.stdout.str() + ran.stderr.str()


SCALED = """
    import shop

    def test_scaled(faults, request):
        model = faults.wrap(shop.embed, faults.error(ConnectionError).with_probability(0.2))
        for _ in range(200):
            try:
                model("a")
            except ConnectionError:
                pass
        print("struck", len(faults.history))
    """


def test_faults_are_scaled_up_and_switched_off(session):
    session(SCALED, "-s", "--fault-scale=0").stdout.fnmatch_lines(["*struck 0*"])
    session(SCALED, "-s", "--fault-scale=5").stdout.fnmatch_lines(["*struck 200*"])


def test_the_marker_strikes_a_target_or_whatever_is_wrapped(session):
    ran = session(
        """
        import pytest, shop, unittest
        from resilient_ml.testing import faults as fault

        @pytest.mark.faults(fault.error(ConnectionError), target="shop.embed", seed=3)
        def test_target():
            with pytest.raises(ConnectionError):
                shop.embed("a")

        @pytest.mark.faults(fault.error(ConnectionError).first(1))
        def test_wrap(faults):
            model = faults.wrap(shop.embed)
            with pytest.raises(ConnectionError):
                model("a")
            assert model("a") == "A"

        @pytest.mark.faults(fault.error(ConnectionError), target="shop.embed")
        @pytest.mark.faults(fault.nan(), target="shop.Model.predict")
        class TestBoth:
            def test_both(self):
                with pytest.raises(ConnectionError):
                    shop.embed("a")
                assert str(shop.Model.predict([1])) == "[nan]"

        @pytest.mark.faults(fault.error(ConnectionError), aim="shop.embed")
        def test_wrong():
            pass

        @pytest.mark.faults(target="shop.embed")
        def test_nothing():
            pass

        def test_none():
            assert shop.embed("a") == "A"
        """
    )
    ran.assert_outcomes(passed=4, errors=2)
    ran.stdout.fnmatch_lines(["*faults needs at least one fault*"])
    ran.stdout.fnmatch_lines(["*faults takes target= and seed=, got*aim*"])


def test_an_expectation_that_fails_points_at_the_tests_own_line(session):
    ran = session(
        """
        from resilient_ml.events import Event

        def test_one(events):
            events.expect(Event)
        def test_none(events):
            events.expect_order(Event)
        """
    )
    ran.assert_outcomes(failed=2)
    ran.stdout.no_fnmatch_line("*event_trace.py:*")


def test_virtual_time_is_the_tests_own_in_every_kind_of_test(session):
    ran = session(
        """
        import asyncio, random, time
        import anyio, pytest
        from resilient_ml import Retry, events as told

        def test_plain(virtual_time, events):
            began = time.monotonic()
            @Retry(attempts=3)
            def model():
                time.sleep(1000)
                raise ConnectionError
            with pytest.raises(ConnectionError):
                model()
            assert 3000 < time.monotonic() - began < 3030
            events.expect(told.RetryScheduled, times=2)
            print("delays", [event.delay for event in events.of(told.RetryScheduled)])

        def test_real_time_is_back():
            assert abs(time.time() - time.clock_gettime(time.CLOCK_REALTIME)) < 5

        @pytest.mark.asyncio
        async def test_pytest_asyncio(virtual_time):
            began = time.monotonic()
            async with asyncio.timeout(5000):
                await asyncio.sleep(1000)
            await asyncio.to_thread(time.sleep, 500)
            assert time.monotonic() - began == 1500

        @pytest.mark.anyio
        async def test_anyio(virtual_time):
            began = anyio.current_time()
            with anyio.move_on_after(1000):
                await anyio.sleep_forever()
            await anyio.to_thread.run_sync(time.sleep, 500)
            assert anyio.current_time() - began == 1500

        @pytest.fixture(params=["asyncio", "trio"])
        def anyio_backend(request):
            return request.param

        @pytest.fixture
        async def server():
            await anyio.sleep(0)
            yield "ready"
            await anyio.sleep(0)

        @pytest.mark.anyio
        async def test_async_fixture(server, virtual_time):
            await anyio.sleep(1000)
            assert server == "ready"
        """,
        "-s",
    )
    ran.assert_outcomes(passed=7)
    again = [line for line in ran.outlines if "delays" in line]
    assert again
    assert [line for line in session_again(session) if "delays" in line] == again


def session_again(session):
    return session((session.path / "test_shop.py").read_text(), "-s").outlines


def test_the_plugin_can_be_left_out(session):
    ran = session("def test_it(faults): pass", "-p", "no:resilient_ml")
    ran.assert_outcomes(errors=1)
    ran.stdout.fnmatch_lines(["*fixture 'faults' not found*"])


def test_faults_live_within_virtual_time_in_whatever_order_a_test_asks_for_them(session):
    ran = session(
        """
        import time
        import pytest, shop
        from resilient_ml.testing import faults as all_faults

        real = time.sleep

        @pytest.mark.faults(all_faults.error(ConnectionError).between(60, 120), target="shop.embed")
        def test_windows_count_in_virtual_time(faults, virtual_time):
            assert shop.embed("a") == "A"
            time.sleep(90)
            with pytest.raises(ConnectionError):
                shop.embed("a")
            time.sleep(60)
            assert shop.embed("a") == "A"

        def test_a_function_of_time_is_struck(faults, virtual_time):
            faults.patch("time.sleep", faults.error(OSError))
            with pytest.raises(OSError):
                time.sleep(1)

        def test_and_whole_again():
            assert time.sleep is real
        """
    )
    ran.assert_outcomes(passed=3)
