"""What an exception says through its causes and its group, however hostile, and what is remembered."""

import asyncio
import gc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_ml import _classifier
from resilient_ml.kinds import Kind, kind_of


class ModelUnloaded(Exception):
    """A user's own exception, of which nothing is known."""


def vendor(*names, base=Exception, **attributes):
    """Make an error whose classes carry *names*, the most derived first, as a vendor's package would."""
    cls = base
    for name in reversed(names):
        cls = type(name, (cls,), {})
    error = cls(attributes.pop("text", "x"))
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


# ---- along the chain


def chain(*links):
    """Join ``error, how, error, how, error``, the last raised first in the arguments."""
    for error, how, following in zip(links[::2], links[1::2], links[2::2], strict=False):
        if how == "from":
            error.__cause__ = following
        else:
            error.__context__ = following
    return links[0]


def test_an_unknown_error_takes_the_kind_of_its_cause():
    assert kind_of(chain(ModelUnloaded(), "from", KeyError(), "from", ConnectionError())) is Kind.CONNECTION


def test_an_unknown_error_takes_the_kind_of_its_context_unless_suppressed():
    error = chain(ModelUnloaded(), "while", ConnectionError())
    assert kind_of(error) is Kind.CONNECTION
    error.__suppress_context__ = True
    assert kind_of(error) is Kind.UNKNOWN


def test_a_cause_hides_the_context():
    error = ModelUnloaded()
    error.__context__ = ConnectionError()
    error.__cause__ = KeyError()
    assert kind_of(error) is Kind.UNKNOWN


def test_an_explicit_cause_knows_better_than_a_value_error():
    assert kind_of(chain(ValueError(), "from", ConnectionError())) is Kind.CONNECTION
    assert kind_of(chain(ValueError(), "from", KeyError())) is Kind.BAD_INPUT
    assert kind_of(chain(ModelUnloaded(), "from", ValueError())) is Kind.BAD_INPUT


def test_what_was_merely_being_handled_does_not_excuse_or_accuse():
    assert kind_of(chain(ValueError(), "while", ConnectionError())) is Kind.BAD_INPUT
    assert kind_of(chain(ModelUnloaded(), "while", ValueError())) is Kind.UNKNOWN
    assert kind_of(chain(ModelUnloaded(), "while", KeyError(), "from", ValueError())) is Kind.UNKNOWN


def test_the_chain_is_followed_for_eight_links_and_no_further():
    def after(hops):
        links = [ModelUnloaded() for _ in range(hops)] + [ConnectionError()]
        return chain(*[part for link in links for part in (link, "from")][:-1])

    assert kind_of(after(7)) is Kind.CONNECTION
    assert kind_of(after(8)) is Kind.UNKNOWN


def test_a_chain_that_bites_its_tail_ends():
    first, second = ModelUnloaded(), ModelUnloaded()
    first.__cause__, second.__cause__ = second, first
    assert kind_of(first) is Kind.UNKNOWN


def test_a_cause_that_is_no_exception_ends_the_chain():
    class Odd(Exception):
        __cause__ = "text"

    assert kind_of(Odd()) is Kind.UNKNOWN


# ---- groups


@pytest.mark.parametrize(
    ("leaves", "kind"),
    [
        ([ConnectionError(), ConnectionError()], Kind.CONNECTION),
        ([ValueError(), ConnectionError()], Kind.CONNECTION),
        ([ModelUnloaded(), ConnectionError()], Kind.CONNECTION),
        ([ModelUnloaded(), ValueError()], Kind.UNKNOWN),
        ([ValueError(), TypeError()], Kind.BAD_INPUT),
        ([ConnectionError(), MemoryError()], Kind.OOM),
        ([ExceptionGroup("inner", [TimeoutError()]), ConnectionError()], Kind.TIMEOUT),
        ([chain(ModelUnloaded(), "from", MemoryError())], Kind.OOM),
    ],
)
def test_the_worst_leaf_speaks_for_a_group(leaves, kind):
    assert kind_of(ExceptionGroup("tasks", leaves)) is kind


def test_cancellations_in_a_group_say_nothing():
    assert kind_of(BaseExceptionGroup("tasks", [asyncio.CancelledError(), ValueError()])) is Kind.BAD_INPUT
    assert kind_of(BaseExceptionGroup("tasks", [asyncio.CancelledError()])) is Kind.UNKNOWN


def test_an_unknown_group_passes_the_question_to_its_cause():
    group = ExceptionGroup("tasks", [ModelUnloaded()])
    group.__cause__ = ConnectionError()
    assert kind_of(group) is Kind.CONNECTION


def test_only_the_first_leaves_of_a_large_group_are_looked_at():
    assert kind_of(ExceptionGroup("tasks", [ModelUnloaded()] * 200 + [MemoryError()])) is Kind.UNKNOWN


def test_a_group_behind_its_own_leaf_ends():
    leaf = ModelUnloaded()
    group = ExceptionGroup("tasks", [leaf])
    leaf.__cause__ = group
    assert kind_of(group) is Kind.UNKNOWN


def test_a_group_that_lies_about_its_members_is_unknown():
    class Liar(ExceptionGroup):
        exceptions = ("not", "exceptions")

    class Silent(ExceptionGroup):
        exceptions = None

    assert kind_of(Liar("x", [ValueError()])) is Kind.UNKNOWN
    assert kind_of(Silent("x", [ValueError()])) is Kind.UNKNOWN


# ---- hostile exceptions


TOUCHED = []


def touch(name):
    def method(self, *args):
        TOUCHED.append(name)
        raise RuntimeError(name)

    return method


FORBIDDEN = (
    "__str__",
    "__repr__",
    "__eq__",
    "__ne__",
    "__bool__",
    "__hash__",
    "__len__",
    "__format__",
    "__contains__",
)


class Hostile:
    """An object that objects to everything."""


for _name in FORBIDDEN:
    setattr(Hostile, _name, touch(_name))


class HostileError(Exception):
    """An exception that objects to everything and whose every attribute raises."""

    def __getattribute__(self, name):
        raise RuntimeError(name)


for _name in FORBIDDEN:
    setattr(HostileError, _name, touch(_name))


class HostileMeta(type):
    """A metaclass under which even the class cannot be compared, hashed or named."""

    __eq__ = touch("type.__eq__")
    __hash__ = touch("type.__hash__")
    __name__ = property(touch("type.__name__"))
    __mro__ = property(touch("type.__mro__"))
    __module__ = property(touch("type.__module__"))


@pytest.fixture
def touched():
    TOUCHED.clear()
    return TOUCHED


def test_a_hostile_exception_is_unknown_and_is_left_alone(touched):
    assert kind_of(HostileError(Hostile())) is Kind.UNKNOWN
    assert touched == []


def test_a_hostile_class_is_read_by_what_it_cannot_shadow(touched):
    class Shadowed(ConnectionError, metaclass=HostileMeta):
        pass

    assert kind_of(Shadowed()) is Kind.CONNECTION
    assert kind_of(Shadowed()) is Kind.CONNECTION
    assert set(touched) <= {"type.__module__"}  # read under guard


def test_attributes_that_raise_are_absent():
    class Error(Exception):
        status_code = 503

        @property
        def code(self):
            raise RuntimeError

        body = property(lambda self: 1 / 0)

    assert kind_of(Error()) is Kind.OVERLOAD


def test_what_an_interrupt_does_inside_a_property_is_not_swallowed():
    class Error(Exception):
        @property
        def status(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kind_of(Error())


# Hypothesis prints and compares what it draws, so it draws plans, and the test builds the hostile things.
TRAPS = {"<object>": Hostile, "<error>": HostileError}
BASES = (Exception, ValueError, RuntimeError, OSError, ConnectionError, HostileError, KeyboardInterrupt)
ATTRIBUTES = (
    "status_code",
    "status",
    "http_status",
    "code",
    "type",
    "body",
    "error",
    "errno",
    "args",
    "response",
)
WORDS = ("insufficient_quota", "503", "StatusCode.UNAVAILABLE", "out of memory", "context window", *TRAPS)
PLANS_OF_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80) | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["code", "type", "error", "Error"]), inner, max_size=3)
    ),
    max_leaves=6,
)
PLANS_OF_LINKS = st.fixed_dictionaries(
    {
        "base": st.sampled_from(BASES),
        "names": st.lists(st.sampled_from(["RpcError", "InferenceServerException", "Mine"]), max_size=2),
        "members": st.dictionaries(st.sampled_from(ATTRIBUTES), PLANS_OF_VALUES, max_size=5),
        "argument": PLANS_OF_VALUES,
    }
)
PLANS = st.recursive(
    PLANS_OF_LINKS.map(lambda link: (link, None, None, None)),
    lambda inner: st.tuples(PLANS_OF_LINKS, st.none() | inner, st.none() | inner, st.none() | inner),
    max_leaves=4,
)


def build_value(plan):
    if type(plan) is list:
        return tuple(map(build_value, plan))
    if type(plan) is dict:
        return {key: build_value(value) for key, value in plan.items()}
    return TRAPS[plan]() if type(plan) is str and plan in TRAPS else plan


def build_error(plan):
    link, cause, context, neighbour = plan
    cls = link["base"]
    for name in link["names"]:
        cls = type(name, (cls,), build_value(link["members"]))
    error = cls(build_value(link["argument"]))
    if cause is not None:
        BaseException.__cause__.__set__(error, build_error(cause))
    if context is not None:
        BaseException.__context__.__set__(error, build_error(context))
    return error if neighbour is None else BaseExceptionGroup("group", [error, build_error(neighbour)])


@given(PLANS)
def test_classification_is_total_and_touches_nothing(plan):
    error = build_error(plan)
    TOUCHED.clear()
    assert type(kind_of(error)) is Kind
    assert TOUCHED == []


@given(st.integers(400, 599))
def test_every_http_failure_has_a_kind(status):
    assert kind_of(vendor("APIStatusError", status_code=status)) is not Kind.UNKNOWN


# ---- what is remembered


def test_remembered_classes_are_not_kept_alive():
    cls = type("Short", (Exception,), {})
    assert kind_of(cls()) is Kind.UNKNOWN
    gone = weakref.ref(cls)
    del cls
    gc.collect()
    assert gone() is None


def test_the_memory_of_classes_is_bounded():
    classes = [type(f"E{number}", (ConnectionError,), {}) for number in range(_classifier._MAX_TYPES + 10)]
    assert all(kind_of(cls()) is Kind.CONNECTION for cls in classes)
    assert len(_classifier._verdicts) <= _classifier._MAX_TYPES


def test_a_class_at_a_forgotten_address_is_judged_anew():
    dead = weakref.ref(type("Dead", (ConnectionError,), {}))
    gc.collect()
    _classifier._verdicts[id(ModelUnloaded)] = (dead, _classifier._Verdict(settled="connection"))
    assert kind_of(ModelUnloaded()) is Kind.UNKNOWN
