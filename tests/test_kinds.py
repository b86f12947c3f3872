"""Kinds: what each means, and how exceptions, hostile ones included, map to them."""

import asyncio
import concurrent.futures.process
import errno
import gc
import http.client
import json
import logging
import queue
import socket
import ssl
import threading
import urllib.error
import weakref
from enum import Enum
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_ml import _classifier, errors
from resilient_ml.kinds import TREATMENTS, Kind, kind_of, register_kind

# ---- what kinds mean


def test_every_kind_has_a_treatment():
    assert set(TREATMENTS) == set(Kind)
    assert all(kind.treatment is TREATMENTS[kind] for kind in Kind)
    assert all(kind.value == kind.name.lower() for kind in Kind)


def test_what_is_not_the_models_fault_never_counts_against_it():
    innocent = {kind for kind in Kind if not kind.treatment.counts_against_model}
    assert innocent == {
        Kind.BAD_INPUT,
        Kind.CONTEXT_TOO_LONG,
        Kind.CONTENT_POLICY,
        Kind.AUTH,
        Kind.BUDGET,
        Kind.DEADLINE,
    }


def test_only_what_may_pass_by_itself_is_retried_here():
    lasting = {kind for kind in Kind if not kind.treatment.retry_here}
    assert lasting == {
        Kind.OOM,
        Kind.BAD_INPUT,
        Kind.CONTEXT_TOO_LONG,
        Kind.CONTENT_POLICY,
        Kind.AUTH,
        Kind.BUDGET,
        Kind.DEADLINE,
    }


def test_only_input_that_is_wrong_everywhere_is_not_tried_elsewhere():
    stuck = {kind for kind in Kind if not kind.treatment.try_elsewhere}
    assert stuck == {Kind.BAD_INPUT, Kind.CONTENT_POLICY}


def test_every_retry_is_paid_for():
    unpaid = {kind for kind in Kind if not kind.treatment.counts_against_budget}
    assert unpaid == {Kind.DEADLINE}
    assert not Kind.DEADLINE.treatment.retry_here


def test_treatments_cannot_be_edited_in_place():
    with pytest.raises(TypeError):
        TREATMENTS[Kind.OOM] = Kind.SERVER.treatment
    with pytest.raises(AttributeError):
        Kind.OOM.treatment.retry_here = True


def test_the_classifiers_tables_name_only_kinds():
    values = {kind.value for kind in Kind}
    for table in (
        _classifier._SETTLED,
        _classifier._USUAL,
        _classifier._NARROW,
        _classifier._WIDE,
        _classifier._HTTP,
        _classifier._ERRNO,
    ):
        assert set(table.values()) <= values
    assert set(_classifier._WORST_FIRST) == values
    assert len(_classifier._WORST_FIRST) == len(values)


def test_no_name_is_in_two_tables():
    assert not _classifier._SETTLED.keys() & _classifier._USUAL.keys()
    assert not _classifier._NARROW.keys() & _classifier._WIDE.keys()


def test_groups_rank_what_counts_against_a_model_before_what_does_not():
    counts = [Kind(value).treatment.counts_against_model for value in _classifier._WORST_FIRST]
    assert counts == sorted(counts, reverse=True)


# ---- by type


class ModelUnloaded(Exception):
    """A user's own exception, of which nothing is known."""


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionError(), Kind.CONNECTION),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), Kind.CONNECTION),
        (BrokenPipeError(), Kind.CONNECTION),
        (EOFError(), Kind.CONNECTION),
        (asyncio.IncompleteReadError(b"", 4), Kind.CONNECTION),
        (http.client.IncompleteRead(b""), Kind.CONNECTION),
        (http.client.RemoteDisconnected(), Kind.CONNECTION),
        (socket.gaierror(socket.EAI_NONAME, "no such host"), Kind.CONNECTION),
        (ssl.SSLError(1, "handshake"), Kind.CONNECTION),
        (ssl.SSLCertVerificationError(1, "expired"), Kind.AUTH),
        (OSError(errno.ENETUNREACH, "unreachable"), Kind.CONNECTION),
        (OSError(errno.ETIMEDOUT, "timed out"), Kind.TIMEOUT),
        (OSError(errno.ENOMEM, "memory"), Kind.OOM),
        (OSError(errno.EMFILE, "files"), Kind.OVERLOAD),
        (OSError(errno.ENOSPC, "disk"), Kind.UNKNOWN),
        (OSError("no number"), Kind.UNKNOWN),
        (FileNotFoundError(errno.ENOENT, "model.onnx"), Kind.UNKNOWN),
        (TimeoutError(), Kind.TIMEOUT),
        (concurrent.futures.TimeoutError(), Kind.TIMEOUT),
        (queue.Full(), Kind.OVERLOAD),
        (MemoryError(), Kind.OOM),
        (concurrent.futures.process.BrokenProcessPool(), Kind.CRASH),
        (json.JSONDecodeError("bad", "doc", 0), Kind.INVALID_OUTPUT),
        (ValueError("shape"), Kind.BAD_INPUT),
        (TypeError("dtype"), Kind.BAD_INPUT),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"), Kind.BAD_INPUT),
        (np.linalg.LinAlgError("singular"), Kind.BAD_INPUT),
        (RuntimeError("generator raised StopIteration"), Kind.UNKNOWN),
        (KeyError("column"), Kind.UNKNOWN),
        (ZeroDivisionError(), Kind.UNKNOWN),
        (ModelUnloaded(), Kind.UNKNOWN),
    ],
    ids=lambda value: value.value if isinstance(value, Kind) else type(value).__name__,
)
def test_errors_of_the_standard_library_are_known(error, kind):
    assert kind_of(error) is kind


def test_numpys_own_memory_error_is_oom():
    with pytest.raises(MemoryError) as caught:
        np.empty(1 << 60, dtype=np.uint8)
    assert kind_of(caught.value) is Kind.OOM


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.CircuitOpen("open"), Kind.OVERLOAD),
        (errors.BulkheadFull("full"), Kind.OVERLOAD),
        (errors.LimitExceeded("limit"), Kind.OVERLOAD),
        (errors.RateLimited("rate"), Kind.RATE_LIMITED),
        (errors.BudgetExhausted("spent"), Kind.BUDGET),
        (errors.DeadlineExceeded("late", kind="timeout"), Kind.TIMEOUT),
        (errors.DeadlineExceeded("late", kind="deadline"), Kind.DEADLINE),
        (errors.InvalidOutput("nan"), Kind.INVALID_OUTPUT),
        (errors.StreamInterrupted("broke"), Kind.CONNECTION),
        (errors.StreamTruncated("short"), Kind.TRUNCATED),
        (errors.WorkerCrashed("signal 11"), Kind.CRASH),
        (errors.ResilienceError("other"), Kind.UNKNOWN),
    ],
    ids=lambda value: None if isinstance(value, Kind) else type(value).__name__,
)
def test_our_own_errors_have_their_kinds(error, kind):
    assert kind_of(error) is kind


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(429), GeneratorExit(), asyncio.CancelledError()]
)
def test_interrupts_exits_and_cancellations_are_no_failures(error):
    error.__cause__ = ConnectionError()
    assert kind_of(error) is Kind.UNKNOWN


def vendor(*names, base=Exception, **attributes):
    """Make an error whose classes carry *names*, the most derived first, as a vendor's package would."""
    cls = base
    for name in reversed(names):
        cls = type(name, (cls,), {})
    error = cls(attributes.pop("text", "x"))
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


class Response:
    def __init__(self, **attributes):
        self.__dict__.update(attributes)

    def __bool__(self):  # as requests' response does for a 4xx
        return False


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (("APITimeoutError", "APIConnectionError", "APIError"), Kind.TIMEOUT),
        (("APIConnectionError", "APIError"), Kind.CONNECTION),
        (("ReadTimeout", "TimeoutException", "TransportError"), Kind.TIMEOUT),
        (("ConnectError", "NetworkError", "TransportError"), Kind.CONNECTION),
        (("UnsupportedProtocol", "TransportError"), Kind.BAD_INPUT),
        (("LocalProtocolError", "ProtocolError", "TransportError"), Kind.BAD_INPUT),
        (
            ("NameResolutionError", "NewConnectionError", "ConnectTimeoutError", "TimeoutError"),
            Kind.CONNECTION,
        ),
        (("BusyLoadingError", "ConnectionError", "RedisError"), Kind.OVERLOAD),
        (("AuthenticationError", "ConnectionError", "RedisError"), Kind.AUTH),
        (("RateLimitError",), Kind.RATE_LIMITED),
        (("ContextWindowExceededError", "BadRequestError"), Kind.CONTEXT_TOO_LONG),
        (("ContentPolicyViolationError", "BadRequestError"), Kind.CONTENT_POLICY),
        (("EnforcedSpendLimitReachedError", "RateLimitError"), Kind.BUDGET),
        (("LengthFinishReasonError",), Kind.TRUNCATED),
        (("EngineDeadError",), Kind.CRASH),
        (("NoCredentialsError", "BotoCoreError"), Kind.AUTH),
        (("NotFittedError",), Kind.SERVER),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_vendors_errors_are_known_by_name(names, kind):
    assert kind_of(vendor(*names)) is kind


def test_a_models_missing_training_is_no_fault_of_the_input():
    assert kind_of(vendor("NotFittedError", base=ValueError)) is Kind.SERVER


# ---- by status and code


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Kind.BAD_INPUT),
        (401, Kind.AUTH),
        (402, Kind.BUDGET),
        (403, Kind.AUTH),
        (404, Kind.AUTH),
        (408, Kind.TIMEOUT),
        (409, Kind.OVERLOAD),
        (413, Kind.CONTEXT_TOO_LONG),
        (415, Kind.BAD_INPUT),
        (422, Kind.BAD_INPUT),
        (424, Kind.SERVER),
        (429, Kind.RATE_LIMITED),
        (451, Kind.CONTENT_POLICY),
        (499, Kind.CONNECTION),
        (500, Kind.SERVER),
        (502, Kind.SERVER),
        (503, Kind.OVERLOAD),
        (504, Kind.TIMEOUT),
        (529, Kind.OVERLOAD),
        (599, Kind.TIMEOUT),
        (200, Kind.UNKNOWN),
        (302, Kind.UNKNOWN),
        (600, Kind.UNKNOWN),
        (-1, Kind.UNKNOWN),
        (True, Kind.UNKNOWN),
        (503.0, Kind.UNKNOWN),
        (None, Kind.UNKNOWN),
    ],
)
@pytest.mark.parametrize(
    "place",
    [
        lambda number: {"status_code": number},
        lambda number: {"status": number},
        lambda number: {"http_status": number},
        lambda number: {"code": number},
        lambda number: {"response": Response(status_code=number)},
        lambda number: {"response": Response(status=number)},
        lambda number: {"response": {"ResponseMetadata": {"HTTPStatusCode": number}}},
    ],
)
def test_a_status_is_found_wherever_clients_put_it(place, status, kind):
    assert kind_of(vendor("APIStatusError", **place(status))) is kind


def test_an_enum_of_statuses_counts_as_its_number():
    assert kind_of(vendor("TooManyRequests", code=http.HTTPStatus.SERVICE_UNAVAILABLE)) is Kind.OVERLOAD


def test_a_status_says_more_than_a_usual_name():
    assert kind_of(vendor("InternalServerError", status_code=503)) is Kind.OVERLOAD
    assert kind_of(vendor("BadRequest", base=ValueError, status_code=503)) is Kind.OVERLOAD


def test_a_code_that_is_deprecated_beside_a_status_is_not_read():
    class ClientResponseError(Exception):
        status = 503

        @property
        def code(self):
            pytest.fail("code was read")

    assert kind_of(ClientResponseError()) is Kind.OVERLOAD


def test_urllibs_http_error_is_known_by_its_status():
    error = urllib.error.HTTPError("http://model", 429, "slow", {}, None)
    assert kind_of(error) is Kind.RATE_LIMITED
    error.close()


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"status_code": 429, "code": "insufficient_quota"}, Kind.BUDGET),
        ({"status_code": 429, "code": "rate_limit_exceeded"}, Kind.RATE_LIMITED),
        ({"status_code": 400, "code": "context_length_exceeded"}, Kind.CONTEXT_TOO_LONG),
        ({"status_code": 400, "body": {"code": "content_filter"}}, Kind.CONTENT_POLICY),
        ({"status_code": 200, "body": {"error": {"type": "overloaded_error"}}}, Kind.OVERLOAD),
        ({"status_code": 200, "type": "invalid_request_error"}, Kind.BAD_INPUT),
        ({"status_code": 401, "type": "invalid_request_error"}, Kind.AUTH),
        (
            {
                "status_code": 429,
                "body": {"error": {"details": {"error_code": "enforced_spend_limit_reached"}}},
            },
            Kind.BUDGET,
        ),
        ({"error": Response(code="content_filter")}, Kind.CONTENT_POLICY),
        ({"response": {"Error": {"Code": "ThrottlingException"}}}, Kind.RATE_LIMITED),
        ({"code": 503, "status": "UNAVAILABLE"}, Kind.OVERLOAD),
        ({"status": "UNAVAILABLE"}, Kind.CONNECTION),
        ({"type": "api_error"}, Kind.SERVER),
        ({"code": "503"}, Kind.OVERLOAD),
        ({"code": "200"}, Kind.UNKNOWN),
        ({"code": "٥٠٣"}, Kind.UNKNOWN),
        ({"code": "e3q8"}, Kind.UNKNOWN),
        ({"code": "insufficient_quota" + " " * 64}, Kind.UNKNOWN),
        ({"body": "insufficient_quota"}, Kind.UNKNOWN),
        ({"body": ["insufficient_quota"]}, Kind.UNKNOWN),
    ],
    ids=str,
)
def test_a_providers_own_word_narrows_the_status_down(attributes, kind):
    assert kind_of(vendor("APIError", **attributes)) is kind


class StatusCode(Enum):
    UNAVAILABLE = 14
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    RESOURCE_EXHAUSTED = 8
    UNAUTHENTICATED = 16
    INTERNAL = 13
    OK = 0


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("UNAVAILABLE", Kind.CONNECTION),
        ("INVALID_ARGUMENT", Kind.BAD_INPUT),
        ("DEADLINE_EXCEEDED", Kind.TIMEOUT),
        ("RESOURCE_EXHAUSTED", Kind.RATE_LIMITED),
        ("UNAUTHENTICATED", Kind.AUTH),
        ("INTERNAL", Kind.SERVER),
        ("OK", Kind.UNKNOWN),
    ],
)
def test_grpc_errors_are_asked_for_their_code(name, kind):
    assert kind_of(vendor("AioRpcError", "RpcError", code=lambda: StatusCode[name])) is kind


def test_a_grpc_error_without_a_working_code_is_unknown():
    assert kind_of(vendor("RpcError")) is Kind.UNKNOWN
    assert kind_of(vendor("RpcError", code=lambda: 1 / 0)) is Kind.UNKNOWN


def test_a_code_method_of_any_other_error_is_never_called():
    assert kind_of(vendor("Mine", code=lambda: pytest.fail("code was called"))) is Kind.UNKNOWN


def test_triton_errors_are_known_by_the_status_they_keep():
    def of(status):
        return kind_of(vendor("InferenceServerException", _status=status, status=lambda: status))

    assert of("StatusCode.UNAVAILABLE") is Kind.CONNECTION
    assert of("503") is Kind.OVERLOAD
    assert of(None) is Kind.UNKNOWN


# ---- by the beginning of the message


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("CUDA out of memory. Tried to allocate 2.00 GiB", Kind.OOM),
        ("CUDA error: out of memory", Kind.OOM),
        ("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate", Kind.OOM),
        ("[enforce fail at alloc_cpu.cpp:83] DefaultCPUAllocator: can't allocate memory", Kind.OOM),
        ("RESOURCE_EXHAUSTED: Out of memory while trying to allocate", Kind.OOM),
        ("CUDA error: device-side assert triggered", Kind.CRASH),
        ("CUDA error: an illegal memory access was encountered", Kind.CRASH),
        ("x" * 300 + "out of memory", Kind.UNKNOWN),
    ],
)
def test_frameworks_that_speak_in_words_are_understood(text, kind):
    assert kind_of(RuntimeError(text)) is kind


def test_onnxruntime_errors_are_read_too():
    fail = type("Fail", (Exception,), {"__module__": "onnxruntime.capi.onnxruntime_pybind11_state"})
    assert kind_of(fail("[ONNXRuntimeError] : 1 : FAIL : Failed to allocate memory for buffer")) is Kind.OOM
    assert kind_of(fail("[ONNXRuntimeError] : 1 : FAIL : node")) is Kind.SERVER


def test_an_error_that_only_quotes_the_words_is_not_oom():
    assert kind_of(ValueError("cannot parse 'CUDA out of memory'")) is Kind.BAD_INPUT
    assert kind_of(ModelUnloaded("CUDA out of memory")) is Kind.UNKNOWN


@pytest.mark.parametrize(
    "error",
    [
        ValueError("Requested tokens (700) exceed context window of 512"),
        vendor("BadRequestError", status_code=400, text="This model's maximum context length is 4096 tokens"),
        vendor("BadRequestError", text="prompt is too long: 200001 tokens > 200000 maximum"),
    ],
)
def test_a_context_window_that_overflows_is_told_from_other_bad_input(error):
    assert kind_of(error) is Kind.CONTEXT_TOO_LONG


@pytest.mark.parametrize("args", [(), (b"out of memory",), (["out of memory"],), (3, "out of memory")])
def test_only_plain_text_that_comes_first_is_read(args):
    assert kind_of(RuntimeError(*args)) is Kind.UNKNOWN


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


# ---- rules of the user's own


def test_a_registered_class_includes_its_subclasses_until_closed():
    class Reloading(ModelUnloaded):
        pass

    rule = register_kind(ModelUnloaded, Kind.OVERLOAD)
    assert kind_of(Reloading()) is Kind.OVERLOAD
    assert kind_of(ConnectionError()) is Kind.CONNECTION
    rule.close()
    rule.close()
    assert kind_of(Reloading()) is Kind.UNKNOWN


def test_registered_rules_come_before_built_in_ones_and_the_newest_first():
    with register_kind(ConnectionError, Kind.SERVER) as older:
        assert kind_of(ConnectionError()) is Kind.SERVER
        with register_kind(OSError, Kind.CRASH):
            assert kind_of(ConnectionError()) is Kind.CRASH
            older.close()
            assert kind_of(ConnectionError()) is Kind.CRASH
    assert kind_of(ConnectionError()) is Kind.CONNECTION


def test_a_function_answers_for_the_errors_it_knows():
    def full(error):
        return Kind.OVERLOAD if error.args == ("full",) else None

    with register_kind(full):
        assert kind_of(ModelUnloaded("full")) is Kind.OVERLOAD
        assert kind_of(ValueError("shape")) is Kind.BAD_INPUT


def test_rules_are_asked_at_every_link_and_every_leaf():
    with register_kind(ModelUnloaded, Kind.OVERLOAD):
        assert kind_of(chain(KeyError(), "from", ModelUnloaded())) is Kind.OVERLOAD
        assert kind_of(ExceptionGroup("tasks", [KeyError(), ModelUnloaded()])) is Kind.OVERLOAD


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (lambda error: 1 / 0, "raised ZeroDivisionError"),
        (lambda error: "oom", "returned str, neither a Kind nor None"),
        (
            partial(lambda answer, error: answer, True),
            "kind rule partial returned bool, neither a Kind nor None",
        ),
    ],
)
def test_a_rule_that_fails_is_no_answer_and_is_logged_once(caplog, rule, said):
    with caplog.at_level(logging.WARNING, logger="resilient_ml"), register_kind(rule):
        assert kind_of(ConnectionError("secret")) is Kind.CONNECTION
        assert kind_of(ConnectionError("secret")) is Kind.CONNECTION
    assert len(caplog.records) == 1
    assert said in caplog.text
    assert "secret" not in caplog.text


def test_a_rule_that_asks_back_ends():
    with register_kind(kind_of):
        assert kind_of(ConnectionError()) is Kind.CONNECTION


def test_rules_registered_by_many_threads_all_hold_and_all_go():
    classes = [type(f"Mine{number}", (Exception,), {}) for number in range(64)]
    rules = []
    start = threading.Barrier(8)

    def register(part):
        start.wait()
        rules.extend(register_kind(cls, Kind.SERVER) for cls in part)

    def close(part):
        start.wait()
        for rule in part:
            rule.close()

    for work, whole in ((register, classes), (close, rules)):
        threads = [threading.Thread(target=work, args=(whole[number::8],)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {kind_of(cls()) for cls in classes} == {Kind.SERVER if work is register else Kind.UNKNOWN}


async def later(error):
    return Kind.SERVER


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((int, Kind.OOM), "match must be an exception class or a function, got class int; "),
        ((3, Kind.OOM), "match must be an exception class or a function, got int; "),
        (
            ((ValueError, KeyError), Kind.OOM),
            "match must be .*, got tuple; for several classes register each",
        ),
        (
            (ModelUnloaded,),
            "kind must be a Kind for exception class ModelUnloaded, got NoneType; write register_kind",
        ),
        ((ModelUnloaded, "oom"), r"kind must be a Kind for .*, got str; .*Kind\('server'\)"),
        (
            (lambda error: None, Kind.OOM),
            "kind must be left out for a function, got Kind; a function returns",
        ),
        ((later,), "match must be a plain function, got coroutine function later; .*write it with def"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_with_the_remedy(arguments, message):
    with pytest.raises(TypeError, match=message):
        register_kind(*arguments)
