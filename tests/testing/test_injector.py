"""Faults for one test: they are made, scaled, put around things, and undone."""

import random
import sys
import types

import pytest

from resilient_ml import Colour, Fallback
from resilient_ml.testing import FaultInjector, faults


class Model:
    def predict(self, text):
        return text.upper()


def test_everything_is_undone_at_the_end():
    module = types.ModuleType("injected_shop")
    module.embed, original = str.upper, str.upper
    sys.modules["injected_shop"] = module
    model = Model()
    try:
        with FaultInjector(1) as injector:
            injector.patch("injected_shop.embed", injector.error(ConnectionError))
            injector.patch((model, "predict"), injector.error(TimeoutError))
            with pytest.raises(ConnectionError):
                module.embed("a")
            with pytest.raises(TimeoutError):
                model.predict("a")
        assert module.embed is original
        assert vars(model) == {}
        assert model.predict("a") == "A"
    finally:
        del sys.modules["injected_shop"]


def test_pythons_luck_is_the_seeds_and_is_put_back():
    random.seed(5)
    state = random.getstate()
    draws = []
    for _ in range(2):
        with FaultInjector(7):
            draws.append([random.random() for _ in range(3)])
    assert draws[0] == draws[1]
    assert random.getstate() == state


def test_plans_have_luck_of_their_own_unless_they_are_given_it():
    with FaultInjector(7) as injector:
        seeds = [injector.plan(faults.nan()).seed for _ in range(3)]
        assert len(set(seeds)) == 3
        assert injector.plan(faults.nan(), seed=3).seed == 3
    with FaultInjector(7) as injector:
        assert [injector.plan(faults.nan()).seed for _ in range(3)] == seeds


def test_the_history_of_all_plans_is_told_in_order(clock):
    with FaultInjector(7) as injector:
        first = injector.wrap(Model().predict, faults.error(ConnectionError))
        clock.sleep(10)
        second = injector.wrap(Model().predict, faults.error(TimeoutError))
        for model in (second, first, second):
            clock.sleep(1)
            with pytest.raises(OSError):
                model("a")
        assert [(one.at, one.fault) for one in injector.history] == [
            (1.0, "error(TimeoutError)"),
            (12.0, "error(ConnectionError)"),
            (3.0, "error(TimeoutError)"),
        ]


def test_what_always_strikes_strikes_whatever_is_wrapped():
    with FaultInjector(7) as injector:
        injector.always(faults.error(ConnectionError).on_calls(1))
        model = injector.wrap(Model().predict, faults.error(TimeoutError).on_calls(2))
        with pytest.raises(ConnectionError):
            model("a")
        with pytest.raises(TimeoutError):
            model("a")
        assert model("a") == "A"


def test_a_colour_can_be_said():
    def client(text):
        return iter(text)

    with FaultInjector(7) as injector:
        stream = injector.wrap(client, faults.cut(after=1), colour=Colour.STREAM)("abc")
        assert next(stream) == "a"
        with pytest.raises(ConnectionResetError):
            next(stream)


@pytest.mark.parametrize(
    ("seed", "scale", "text"),
    [
        (-1, 1.0, "seed must be at least 0, got -1"),
        ("x", 1.0, "seed must be a whole number, got 'x'"),
        (0, -1.0, "scale must not be negative, got -1.0"),
        (0, "much", "scale must be a number, got 'much'"),
    ],
)
def test_nonsense_is_refused(seed, scale, text):
    with pytest.raises((TypeError, ValueError), match=text):
        FaultInjector(seed, scale=scale)


def test_a_fault_that_there_is_not_is_told():
    with pytest.raises(AttributeError, match=r"there is no fault 'gremlin'; .*faults has them all"):
        FaultInjector(0).gremlin  # noqa: B018
    with pytest.raises(AttributeError, match=r"there is no fault 'eror'; did you mean 'error'\?"):
        FaultInjector(0).eror  # noqa: B018


def test_nothing_to_break_with_is_refused():
    with FaultInjector(0) as injector:
        with pytest.raises(
            TypeError, match=r"at least one fault, got none; write patch\(target, faults.hang"
        ):
            injector.patch("json.dumps")
        with pytest.raises(TypeError, match=r"at least one fault, got none; write wrap\(fn, faults.hang"):
            injector.wrap(Model().predict)
        assert injector.plans == []


def test_it_shows_its_seed_and_how_often_it_struck():
    with FaultInjector(7) as injector:
        with pytest.raises(ConnectionError):
            injector.wrap(Model().predict, faults.error(ConnectionError))("a")
        assert repr(injector) == "<FaultInjector with seed 7, strikes: 1>"


def test_the_package_has_no_other_names():
    import resilient_ml.testing

    with pytest.raises(AttributeError, match=r"'resilient_ml\.testing' has no attribute 'gremlin'"):
        resilient_ml.testing.gremlin  # noqa: B018


def test_a_fault_that_fits_nothing_fails_the_test_that_a_fallback_would_have_let_pass():
    with pytest.raises(TypeError, match=r"proves nothing there .*: 1\)"), FaultInjector(1) as injector:
        guarded = Fallback("unsure", on=Exception)(injector.wrap(lambda text: "good", faults.nan()))
        assert guarded("a") == "unsure"


def test_a_misfit_does_not_hide_what_the_test_itself_failed_of():
    with pytest.raises(ZeroDivisionError), FaultInjector(1) as injector:
        Fallback("unsure", on=Exception)(injector.wrap(lambda text: "good", faults.nan()))("a")
        1 / 0  # noqa: B018
