"""What an exception says about its failure, read without trusting the exception.

The answer is a ``Kind``'s value, as text: :mod:`resilient_ml.kinds` owns the kinds, this module the rules
that find them. For each link of the chain the first rule that answers wins:

1. what the user registered;
2. a class name that settles it alone (``MemoryError``, ``ReadTimeout``), most derived class first;
3. a provider's own word, where it is narrower than a status (429 with ``insufficient_quota`` is a budget);
4. an HTTP status; then a broader word (``server_error``), an errno, a gRPC code;
5. the beginning of the message, for the few failures without a type of their own (memory, context window);
6. a class name that usually comes with a status (``RateLimitError``);
7. ``ValueError`` and ``TypeError``: the input was bad, unless an explicit cause knows better.

A link without an answer passes the question to its ``__cause__``, else to its ``__context__`` unless that was
suppressed. Vendors are known by the names of their classes: none of their packages is imported.

An exception is somebody else's code. Attributes are read under guard; text, truth, equality, hash and length
of it and of its arguments are never asked for, since that can raise, block or print secrets.
"""

from __future__ import annotations

import errno
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from .errors import DeadlineExceeded

__all__ = ["MAX_LINKS", "classify", "read"]

MAX_LINKS = 8  # Links of a cause chain that are followed: longer ones are cycles or noise.
_MAX_LEAVES = 64  # Members of an exception group that are looked at.
_MAX_TYPES = 1024  # Exception classes whose verdict is remembered.
_TEXT_CHARS = 300
_WORD_CHARS = 64


def _table(rows: dict[str, str]) -> dict[str, str]:
    """Turn ``kind -> "name name ..."`` into ``name -> kind``."""
    return {name: kind for kind, names in rows.items() for name in names.split()}


# Read as: this class name is the whole story. Walked over the MRO, so the most derived name decides.
_SETTLED = _table(
    {
        "connection": """ConnectionError EOFError IncompleteRead IncompleteReadError RemoteDisconnected
            BadStatusLine gaierror herror SSLError StreamInterrupted APIConnectionError NetworkError
            ProxyError RemoteProtocolError NewConnectionError ChunkedEncodingError ClientConnectionError
            ClientPayloadError ConnectionClosed ConnectionClosedError EndpointConnectionError
            BrokenResourceError ClosedResourceError EndOfStream WebSocketConnectionClosedError
            ClusterDownError""",
        "timeout": """TimeoutError TimeoutException TimeoutExpired Timeout ConnectTimeout ReadTimeout
            APITimeoutError ConnectTimeoutError ReadTimeoutError ServerTimeoutError FutureTimeoutError
            TooSlowError""",
        "overload": """Rejected BusyLoadingError MaxConnectionsError EmptyPoolError FullPoolError Full
            QueueFull WebSocketQueueFullError TryAgainError""",
        "rate_limited": "RateLimited",
        "server": "NotFittedError NoSuchFile NoModel InvalidGraph InvalidProtobuf EngineGenerateError",
        "oom": "MemoryError OutOfMemoryError ResourceExhaustedError",
        "crash": """BrokenExecutor BrokenProcessPool BrokenWorkerProcess BrokenWorkerInterpreter
            WorkerCrashed WorkerCrashedError ActorDiedError RayActorError EngineDeadError DeviceReset""",
        "invalid_output": """InvalidOutput JSONDecodeError APIResponseValidationError OutputParserException
            JSONSchemaValidationError ContentDecodingError DecodingError DecodeError""",
        "truncated": "StreamTruncated LengthFinishReasonError IncompleteGenerationError ContentTooShortError",
        "bad_input": "LocalProtocolError UnsupportedProtocol ParamValidationError",
        "context_too_long": "ContextWindowExceededError ContextOverflowError OpenAIContextOverflowError",
        "content_policy": """ContentFilterFinishReasonError ContentPolicyViolationError
            BlockedPromptException StopCandidateException""",
        # A certificate that fails to verify fails again: who we talk to is in doubt, not the line.
        "auth": """SSLCertVerificationError ClientConnectorCertificateError ServerFingerprintMismatch
            AuthenticationError CredentialsError NoCredentialsError PartialCredentialsError
            CredentialRetrievalError TokenRetrievalError NoAuthTokenError UnauthorizedSSOTokenError
            NoPermissionError AuthorizationError""",
        "budget": """BudgetExhausted BudgetExceededError EnforcedSpendLimitReachedError
            ContractSpendLimitReachedError""",
    }
)

# Classes that mostly come with a status or a code, which say more; alone, the name must do.
_USUAL = _table(
    {
        "rate_limited": "RateLimitError TooManyRequestsError TooManyRequests RateLimitExceeded",
        "auth": "PermissionDeniedError UnauthorizedError ForbiddenError NotFoundError GoogleAuthError",
        "bad_input": "BadRequestError UnprocessableEntityError InvalidRequestError InvalidArgument",
        "context_too_long": "RequestTooLargeError ContentTooLargeError",
        "overload": "OverloadedError ServiceUnavailableError ConflictError",
        "server": "InternalServerError GenerationError ModelError EngineError EPFail RuntimeException Fail",
        "invalid_output": "ContentTypeError",
        "budget": "PaymentRequiredError",
        # The device is in an unknown state: nothing short of a new process helps.
        "crash": "AcceleratorError",
        "connection": "TransportError ProtocolError HTTPClientError",
    }
)

# Words that narrow a status down, from OpenAI and its imitators, Anthropic, Azure, Bedrock and SageMaker.
_NARROW = _table(
    {
        "context_too_long": """context_length_exceeded context_window_exceeded string_above_max_length
            request_too_large model_max_prompt_tokens_exceeded""",
        "content_policy": """content_filter content_policy_violation responsibleaipolicyviolation
            moderation_blocked content_filtered""",
        "budget": """insufficient_quota billing_hard_limit_reached billing_not_active billing_error
            enforced_spend_limit_reached servicequotaexceededexception""",
        "overload": "overloaded_error overloaded server_overloaded slow_down modelnotreadyexception",
        "rate_limited": """rate_limit_exceeded rate_limit_error throttlingexception throttling
            toomanyrequestsexception requestlimitexceeded""",
        "timeout": "timeout_error modeltimeoutexception requesttimeout requesttimeoutexception",
        "auth": """invalid_api_key authentication_error permission_error accessdeniedexception accessdenied
            expiredtokenexception expiredtoken unrecognizedclientexception invalidclienttokenid
            model_not_found deploymentnotfound""",
        "server": "modelerrorexception modelerror modelstreamerrorexception",
    }
)

# Words as wide as a status, and gRPC's codes: asked only where no status is.
_WIDE = _table(
    {
        "bad_input": """invalid_request_error badrequesterror validationexception validationerror
            invalid_argument failed_precondition out_of_range already_exists""",
        "server": """server_error api_error internal_server_error internalserverexception internal unknown
            data_loss""",
        "overload": "service_unavailable serviceunavailableexception serviceunavailable aborted",
        "rate_limited": "resource_exhausted",
        "timeout": "deadline_exceeded",
        # gRPC says unavailable when it cannot connect, and cancelled when the far side hung up.
        "connection": "unavailable cancelled",
        "auth": "unauthenticated permission_denied not_found unimplemented not_found_error",
    }
)

# The rest of 4xx is bad_input, the rest of 5xx is server.
_HTTP = _table(
    {
        # 404, 405, 410, 501: a path, model or deployment not offered to us. As with credentials, asking again
        # is in vain, another target may have it, and the model's health is not in question. Providers also
        # answer 404 for want of permission. gRPC's UNIMPLEMENTED and NOT_FOUND follow suit.
        "auth": "401 403 404 405 407 410 501 526",
        "budget": "402",
        "timeout": "408 504 522 524 598 599",
        "overload": "409 423 425 503 529",  # 409: contention, which the vendors' own clients retry
        "context_too_long": "413",
        "connection": "421 499 521 523 525 530",  # 520 to 530: Cloudflare about the origin behind it
        "server": "424",  # SageMaker and text-generation servers: the model itself failed
        "rate_limited": "429",
        "content_policy": "451",
    }
)

_ERRNO = {
    getattr(errno, name): kind
    for name, kind in _table(
        {
            "connection": """ECONNREFUSED ECONNRESET ECONNABORTED EPIPE ESHUTDOWN ENOTCONN ENETDOWN
                ENETUNREACH ENETRESET EHOSTDOWN EHOSTUNREACH EADDRNOTAVAIL""",
            "timeout": "ETIMEDOUT",
            "oom": "ENOMEM",
            "overload": "ENOBUFS EMFILE ENFILE",
        }
    ).items()
}

_OOM_TEXTS = (
    *("out of memory", "out_of_memory"),  # CUDA, HIP, MPS, XLA
    *("cublas_status_alloc_failed", "cudnn_status_alloc_failed", "defaultcpuallocator", "bfcarena"),
    *("failed to allocate memory", "unable to allocate", "resource_exhausted"),
    *("bad_alloc", "bad_malloc", "bad allocation", "cannot allocate memory", "cl_mem_object", "cl_out_of_"),
)
# Packages whose own errors say it, after names of nodes and files; and how many letters of them to read.
_SAY_SO = dict.fromkeys(("_catboost", "cupy_backends", "lightgbm", "numba", "onnxruntime", "xgboost"), 1000)
_CRASH_TEXTS = ("device-side assert", "illegal memory access")
_CONTEXT_TEXTS = ("maximum context length", "context window", "prompt is too long", "input is too long")

# The worst of a group's kinds speaks for it: first those that count against a model, gravest first.
_WORST_FIRST = (
    *("crash", "oom", "invalid_output", "truncated", "server", "overload", "rate_limited"),
    *("timeout", "stall", "connection", "unknown"),
    *("content_policy", "context_too_long", "bad_input", "auth", "budget", "deadline"),
)

Ask = Callable[[BaseException], str | None]


def classify(error: BaseException, ask: Ask | None = None) -> str:
    """Return the value of the kind that *error* stands for; ``"unknown"`` when nothing tells.

    Args:
        error: Any exception, hostile ones included.
        ask: The user's rules, asked first at every link; must not raise.
    """
    return _along_the_chain(error, ask, groups=True)


def read(source: Any, name: str) -> Any:
    """Return the attribute, or a dict's item, called *name*; None when absent or when reading it raises."""
    if source is None:
        return None
    try:
        if issubclass(type(source), dict):
            return dict.get(source, name)  # not the subclass's own get
        return getattr(source, name, None)
    except Exception:  # noqa: BLE001 -- a property is the user's code, and what it raises says nothing here
        return None


def _along_the_chain(error: BaseException, ask: Ask | None, *, groups: bool) -> str:
    guess: str | None = None
    explicit = True  # every hop so far was a `raise ... from`
    for _ in range(MAX_LINKS):
        if ask is not None and (answer := ask(error)) is not None:
            return answer
        verdict = _verdict_on(type(error))
        answer = verdict.settled
        if answer is None:
            answer = _of_group(error, ask) if verdict.group and groups else _of_link(error, verdict)
        if answer is not None:
            return answer
        # ValueError and TypeError are a guess. A known cause beats it, if it was named: what merely was being
        # handled may have nothing to do with it. And a guess found behind an implicit hop is no guess at all:
        # `except ValueError: return slow_model(x)` that then fails did not fail because of its input.
        if guess is None and explicit:
            guess = verdict.guess
        following = read(error, "__cause__")
        if following is None:
            if guess is not None or read(error, "__suppress_context__") is True:
                break
            following = read(error, "__context__")
            explicit = False
        if not issubclass(type(following), BaseException):  # isinstance would ask the object for its class
            break
        error = following
    return guess or "unknown"


class _Verdict(NamedTuple):
    """What a class alone tells about its instances."""

    settled: str | None = None
    usual: str | None = None
    guess: str | None = None
    ours: bool = False  # DeadlineExceeded, which says itself whose time ran out
    group: bool = False
    rpc: bool = False  # gRPC: code() is a method, documented to be safe
    triton: bool = False
    device: int = 0  # how many letters to read of frameworks that report memory and device failures in words


_mro_of = type.__dict__["__mro__"].__get__  # a metaclass can shadow both names
_name_of = type.__dict__["__name__"].__get__

# Keyed by id, since a metaclass may define equality; the weak reference tells a class from its successor at
# the same address, and keeps no class alive.
_verdicts: dict[int, tuple[weakref.ref[type], _Verdict]] = {}


def _verdict_on(cls: type[BaseException]) -> _Verdict:
    remembered = _verdicts.get(id(cls))
    if remembered is not None and remembered[0]() is cls:
        return remembered[1]
    verdict = _judge(cls)
    if len(_verdicts) >= _MAX_TYPES:
        _verdicts.clear()
    _verdicts[id(cls)] = (weakref.ref(cls), verdict)
    return verdict


def _judge(cls: type[BaseException]) -> _Verdict:
    if issubclass(cls, BaseExceptionGroup):
        return _Verdict(group=True)
    if not issubclass(cls, Exception):  # an interrupt, an exit or a cancellation is no failure
        return _Verdict(settled="unknown")
    if issubclass(cls, DeadlineExceeded):
        return _Verdict(ours=True)
    names: tuple[str, ...] = tuple(map(_name_of, _mro_of(cls)))
    module = read(cls, "__module__")
    package = module.partition(".")[0] if type(module) is str else ""
    return _Verdict(
        settled=next((_SETTLED[name] for name in names if name in _SETTLED), None),
        usual=next((_USUAL[name] for name in names if name in _USUAL), None),
        guess="bad_input" if issubclass(cls, ValueError | TypeError) else None,
        rpc="RpcError" in names,
        triton="InferenceServerException" in names,
        device=_SAY_SO.get(package, _TEXT_CHARS * issubclass(cls, RuntimeError)),
    )


def _of_link(error: BaseException, verdict: _Verdict) -> str | None:
    """Return what *error* itself says, its chain left aside."""
    if verdict.ours:
        own = _word(read(error, "kind"))
        return own if own in ("deadline", "stall") else "timeout"
    status = read(error, "status")
    # Where `status` is the number, `code` is at best the same one, and reading aiohttp's is deprecated.
    code = None if _is_int(status) else read(error, "code")
    words = _words(error, verdict, status, code)
    for word in words:
        if word in _NARROW:
            return _NARROW[word]
    kind = _of_http(error, status, code) or _of_words(words)
    if kind is None and _is_int(number := read(error, "errno")):
        kind = _ERRNO.get(int.__index__(number))
    if kind is None and verdict.device:
        kind = _of_device(_text(error, verdict.device))
    if kind is None:
        kind = verdict.usual
    if (kind or verdict.guess) == "bad_input" and any(text in _text(error) for text in _CONTEXT_TEXTS):
        return "context_too_long"
    return kind


def _is_int(value: object) -> bool:
    return issubclass(type(value), int) and type(value) is not bool


def _word(value: object) -> str | None:
    """Return short plain text in lower case, without the ``StatusCode.`` of a gRPC code turned into text."""
    if type(value) is str and len(value) <= _WORD_CHARS:
        return value.lower().removeprefix("statuscode.")
    return None


def _words(error: BaseException, verdict: _Verdict, status: object, code: Any) -> tuple[str, ...]:
    """Return the codes that a provider put into the error, or into the body that came with it."""
    body = read(error, "body")
    inner = read(body, "error")
    odata = read(error, "error")  # Azure
    found = [code, status, read(error, "type"), read(error, "error_code")]
    for source in (body, inner, odata):
        if source is not None:
            found += [read(source, "code"), read(source, "type"), read(source, "status")]
    found += [read(read(inner, "details"), "error_code")]
    found += [read(read(read(error, "response"), "Error"), "Code")]  # botocore: the response is a dict
    if verdict.triton:
        found.append(read(error, "_status"))  # its status is a method; this is what it returns
    if verdict.rpc:
        with suppress(Exception):  # as with properties: no answer
            found.append(read(code(), "name"))
    return tuple(word for word in map(_word, found) if word is not None)


def _of_http(error: BaseException, status: Any, code: Any) -> str | None:
    response = read(error, "response")
    found = [read(error, "status_code"), status, read(error, "http_status")]
    found += [read(response, "status_code"), read(response, "status")]
    found += [read(read(response, "ResponseMetadata"), "HTTPStatusCode"), code]  # the first is botocore's
    for value in found:
        if _is_int(value) and (kind := _of_status(int.__index__(value))) is not None:
            return kind
    return None


def _of_status(number: int) -> str | None:
    if not 400 <= number <= 599:
        return None
    return _HTTP.get(str(number)) or ("bad_input" if number < 500 else "server")


def _of_words(words: tuple[str, ...]) -> str | None:
    for word in words:
        kind = _WIDE.get(word)
        if kind is None and len(word) == 3 and word.isascii() and word.isdigit():
            kind = _of_status(int(word))
        if kind is not None:
            return kind
    return None


def _text(error: BaseException, chars: int = _TEXT_CHARS) -> str:
    """Return the beginning of the first argument in lower case, if that is plain text."""
    args = read(error, "args")
    if type(args) is tuple and args and type(args[0]) is str:
        return args[0][:chars].lower()
    return ""


def _of_device(text: str) -> str | None:
    if any(part in text for part in _OOM_TEXTS):
        return "oom"
    return "crash" if any(part in text for part in _CRASH_TEXTS) else None


def _of_group(group: BaseException, ask: Ask | None) -> str | None:
    """Return the worst kind among the group's leaves, cancellations aside; None when no leaf is known."""
    kinds = []
    pending: list[Any] = [group]
    for _ in range(_MAX_LEAVES):
        if not pending:
            break
        member = pending.pop()
        if issubclass(type(member), BaseExceptionGroup):
            members = read(member, "exceptions")
            if type(members) is tuple:
                pending.extend(reversed(members[:_MAX_LEAVES]))
        elif issubclass(type(member), Exception):
            # Groups behind a leaf are not opened: nested chains and groups could otherwise multiply.
            kinds.append(_along_the_chain(member, ask, groups=False))
    worst = min(kinds, key=_WORST_FIRST.index, default="unknown")
    return None if worst == "unknown" else worst
