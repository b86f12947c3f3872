"""Attributes with faults: whoever calls them, for the length of a block, and as they were after it."""

import functools
import sys
import time
import types

import anyio
import pytest

from resilient_ml import Colour
from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan, patched


def embed(text):
    return text.upper()


class Twice:
    def __call__(self, rows):
        return rows * 2


class Base:
    def inherited(self, rows):
        return ("inherited", rows)


class Model(Base):
    part = functools.partial(max, 5)
    twice = Twice()

    def predict(self, rows):
        return ("predict", rows)

    @staticmethod
    def static(rows):
        return ("static", rows)

    @classmethod
    def made(cls, rows):
        return (cls.__name__, rows)

    @property
    def loaded(self):
        return True

    async def apredict(self, rows):
        return rows


class Text(str):
    """Its methods are written in C."""

    __slots__ = ()
    shout = str.upper


class Slotted:
    __slots__ = ("predict",)


@pytest.fixture
def shop(monkeypatch):
    """A package with a module that has functions and a class."""
    package, module = types.ModuleType("shop"), types.ModuleType("shop.search")
    package.__path__ = []
    package.search = module
    module.embed, module.Model = embed, Model
    monkeypatch.setitem(sys.modules, "shop", package)
    monkeypatch.setitem(sys.modules, "shop.search", module)
    return module


BLIP = faults.error(ConnectionError).first(1)


@pytest.mark.parametrize(
    ("target", "ask", "answer"),
    [
        ("shop.search.embed", lambda shop: shop.embed("a"), "A"),
        ("shop.search.Model.predict", lambda shop: shop.Model().predict(1), ("predict", 1)),
        ("shop.search.Model.inherited", lambda shop: shop.Model().inherited(1), ("inherited", 1)),
        ("shop.search.Model.static", lambda shop: shop.Model.static(1), ("static", 1)),
        ("shop.search.Model.static", lambda shop: shop.Model().static(1), ("static", 1)),
        ("shop.search.Model.made", lambda shop: shop.Model.made(1), ("Model", 1)),
        ("shop.search.Model.part", lambda shop: shop.Model.part(7), 7),
        ("shop.search.Model.twice", lambda shop: shop.Model().twice(7), 14),
    ],
)
def test_an_attribute_is_struck_in_the_block_and_whole_after_it(shop, target, ask, answer):
    before = dict(vars(shop)), dict(vars(Model))
    with patched(FaultPlan(BLIP), target) as plan:
        with pytest.raises(ConnectionError):
            ask(shop)
        assert ask(shop) == answer
        assert [one.target for one in plan.history] == [target]
    assert ask(shop) == answer
    assert len(plan.history) == 1
    assert (dict(vars(shop)), dict(vars(Model))) == before


def test_an_attribute_of_one_object_leaves_the_others_alone():
    model, other = Model(), Model()
    with patched(FaultPlan(BLIP), (model, "predict")) as plan:
        assert other.predict(1) == ("predict", 1)
        with pytest.raises(ConnectionError):
            model.predict(1)
    assert vars(model) == {}
    assert [one.target for one in plan.history] == ["Model.predict"]


def test_an_attribute_that_an_object_has_itself_is_put_back():
    model = Model()
    model.predict = embed
    with patched(FaultPlan(BLIP), (model, "predict")), pytest.raises(ConnectionError):
        model.predict("a")
    assert vars(model) == {"predict": embed}


def test_an_attribute_in_a_slot_is_put_back():
    model = Slotted()
    model.predict = embed
    with patched(FaultPlan(BLIP), (model, "predict")), pytest.raises(ConnectionError):
        model.predict("a")
    assert model.predict is embed


def test_a_method_written_in_c_is_given_its_instance():
    with patched(FaultPlan(BLIP.where(lambda: True)), (Text, "shout")) as plan:
        with pytest.raises(ConnectionError):
            Text("a").shout()
        assert Text("a").shout() == "A"
    assert plan.history[0].target == "Text.shout"
    assert vars(Text)["shout"] is vars(str)["upper"]


def test_predicates_and_inputs_of_a_method_do_not_see_its_instance(shop):
    seen = []
    fault = faults.on_input(faults.drift(shift=1.0)).where(lambda rows: seen.append(rows) or True)
    with patched(FaultPlan(fault), "shop.search.Model.predict", "shop.search.Model.made"):
        assert shop.Model().predict(1.0) == ("predict", 2.0)
        assert shop.Model.made(2.0) == ("Model", 3.0)
    assert seen == [1.0, 2.0]


def test_several_attributes_share_a_plan_and_are_all_undone_when_one_is_wrong(shop):
    with (
        pytest.raises(AttributeError),
        patched(FaultPlan(BLIP), "shop.search.embed", "shop.search.Model.nothing"),
    ):
        pass
    assert shop.embed is embed


def test_what_fails_in_the_block_leaves_nothing_behind(shop):
    with pytest.raises(KeyError), patched(FaultPlan(BLIP), "shop.search.embed"):
        raise KeyError
    assert shop.embed is embed


def test_a_module_that_nobody_has_imported_yet_is_imported(monkeypatch, tmp_path):
    (tmp_path / "kiosk").mkdir()
    (tmp_path / "kiosk" / "__init__.py").write_text("")
    (tmp_path / "kiosk" / "counter.py").write_text("def ask():\n    return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("kiosk", "kiosk.counter"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with patched(FaultPlan(BLIP), "kiosk.counter.ask"), pytest.raises(ConnectionError):
        sys.modules["kiosk.counter"].ask()
    assert sys.modules["kiosk.counter"].ask() == 1


def test_a_colour_can_be_said(shop):
    with patched(FaultPlan(faults.nan()), "shop.search.Model.apredict", colour=Colour.ASYNC_CALL):
        coroutine = shop.Model().apredict(1.0)
        with pytest.raises(StopIteration) as stop:
            coroutine.send(None)
    assert str(stop.value.value) == "nan"


@pytest.mark.parametrize(
    ("target", "error", "text"),
    [
        ("embed", ValueError, "target must have a dot, got 'embed'"),
        ("shop.nowhere.embed", ModuleNotFoundError, "No module named 'shop.nowhere'"),
        (
            "shop.search.embedd",
            AttributeError,
            r"target 'shop\.search\.embedd': there is no attribute 'embedd'; did you mean 'embed'\?",
        ),
        ("shop.search.Model.nothing", AttributeError, "no attribute 'nothing'; check its spelling"),
        ((Slotted(), "embed"), AttributeError, "no attribute 'embed'; check its spelling"),
        ((Text("a"), "shout"), AttributeError, r"target 'Text\.shout': .*read-only; .*, or its class"),
        (
            "builtins.str.upper",
            TypeError,
            r"target 'builtins\.str\.upper': cannot set .*; patch it where it is",
        ),
        ("shop.search.Nothing.predict", ModuleNotFoundError, "No module named 'shop.search.Nothing'"),
        ("shop.search.Model.loaded", TypeError, "guard the method that computes it"),
        ("shop.search.Model", TypeError, "cannot guard class 'Model'"),
        (embed, TypeError, r"target must be a path or \(object, name\)"),
        ((embed,), TypeError, r"target must be a path or \(object, name\)"),
        ((embed, 5), TypeError, r"target must be a path or \(object, name\)"),
    ],
)
def test_a_wrong_target_is_refused(shop, target, error, text):
    with pytest.raises(error, match=text), patched(FaultPlan(BLIP), target):
        pass


def test_a_fault_in_place_of_a_plan_is_refused():
    with pytest.raises(TypeError, match="plan must be a FaultPlan"), patched(BLIP, "json.dumps"):
        pass


@pytest.mark.parametrize("target", ["time.sleep", "time.monotonic"])
def test_what_faults_themselves_wait_and_count_by_may_be_patched_too(clock, target):
    """Only the program's own calls meet the faults: not those that the faults make."""
    plan = FaultPlan(faults.latency(5.0))
    began = clock.now()
    with patched(plan, target):
        time.sleep(1)
        time.monotonic()
    assert (clock.now() - began, len(plan.history)) == (6, 1)


def test_so_may_anyios_sleep(clock):
    plan = FaultPlan(faults.latency(5.0))

    async def main():
        await anyio.sleep(1)

    began = clock.now()
    with patched(plan, "anyio.sleep"):
        anyio.run(main)
    assert (clock.now() - began, len(plan.history)) == (6, 1)
