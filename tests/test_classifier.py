"""What an exception says about its failure: its type, status, codes and first words."""

import asyncio
import concurrent.futures.process
import errno
import http.client
import json
import queue
import socket
import ssl
import urllib.error
from enum import Enum

import numpy as np
import pytest

from resilient_ml import errors
from resilient_ml.kinds import Kind, kind_of

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
        ("MPS backend out of memory (MPS allocated: 8.00 GB, other allocations: 384 KB)", Kind.OOM),
        ("std::bad_alloc", Kind.OOM),
        ("Exception from src/inference/src/cpp/infer_request.cpp:223: bad allocation", Kind.OOM),
        ("unable to mmap 4096 bytes from file <weights>: Cannot allocate memory (12)", Kind.OOM),
        ("[GPU] clEnqueueMapBuffer, error code: -4 CL_MEM_OBJECT_ALLOCATION_FAILURE", Kind.OOM),
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


@pytest.mark.parametrize(
    ("module", "base", "text"),
    [
        ("xgboost.core", ValueError, "std::bad_alloc"),
        ("xgboost.core", ValueError, "bad_malloc: Failed to allocate 400 bytes."),
        (
            "xgboost.core",
            ValueError,
            "[14:05:33] /src/common/device_helpers.cuh:431: cudaErrorMemoryAllocation: out of memory",
        ),
        ("lightgbm.basic", Exception, "[CUDA] out of memory /src/treelearner/cuda_tree.cu 31"),
        ("_catboost", Exception, "std::bad_alloc"),
        ("numba.cuda.cudadrv.driver", Exception, "[2] Call to cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY"),
        (
            "onnxruntime.capi.onnxruntime_pybind11_state",
            Exception,
            f"[ONNXRuntimeError] : 6 : Name:'/{'model/layers/' * 25}MatMul' Failed to allocate memory for it",
        ),
    ],
)
def test_errors_of_packages_own_classes_are_read_as_well(module, base, text):
    made = type("TheirError", (base,), {"__module__": module})
    assert kind_of(made(text)) is Kind.OOM
    assert kind_of(made("feature names differ")) is kind_of(base("feature names differ"))
    assert kind_of(type("OursError", (ValueError,), {"__module__": "shop"})(text)) is Kind.BAD_INPUT


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
