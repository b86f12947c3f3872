"""The content of a call's arguments, as a key of 16 bytes.

Two calls have the same key where a model cannot tell their arguments apart: each value goes into the digest
under a tag of its type and with its length, so that ``1``, ``True``, ``1.0`` and ``"1"`` are four keys.
Nothing is read from a ``repr``, a ``hash`` or an address. What has no content that could be read, such as a
lock, a file, a generator or a model, is refused.

Source of the digest: J.-P. Aumasson et al., "BLAKE2", RFC 7693, 2015. Two arguments in 2 ** 64 would have to
be tried for two that share a key.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import pathlib
import struct
import sys
import types
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any

_DEEPEST = 64
_BYTES = 16


class NoContent(TypeError):
    """A value whose content cannot be read; ``what`` says why."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what: str = what


def content_key(scope: int, args: tuple[Any, ...], kwargs: dict[str, Any], version: Any = None) -> bytes:
    """The key of a call, 16 bytes.

    An argument that is passed by position and the same passed by name are two keys: that costs a second
    call of the model, never a wrong answer.

    Args:
        scope: Tells functions apart.
        args: The positional arguments.
        kwargs: The named ones, in any order.
        version: The version of the model, a value with a content; None for none.

    Raises:
        TypeError: An argument has no content; the message names it.

    >>> content_key(0, (1,), {}) == content_key(0, (1.0,), {})
    False
    >>> content_key(0, ({"a": 1, "b": 2},), {}) == content_key(0, ({"b": 2, "a": 1},), {})
    True
    """
    if not kwargs and version is None and len(args) == 1 and type(args[0]) is str:
        text = args[0].encode("utf-8", "surrogatepass")
        return blake2b(b"1%d " % scope + text, digest_size=_BYTES).digest()
    digest = blake2b(b"*%d %d " % (scope, len(args)), digest_size=_BYTES)
    put = digest.update
    for position, value in enumerate(args):
        _named(put, value, f"argument {position + 1}")
    for name in sorted(kwargs):
        _text(put, name, 0)
        _named(put, kwargs[name], f"argument {name!r}")
    if version is not None:
        _named(put, version, "version")
    return digest.digest()


def key_of_value(scope: int, value: Any, version: Any = None) -> bytes:
    """The key of what the user's own ``key=`` returned."""
    digest = blake2b(b"=%d " % scope, digest_size=_BYTES)
    _named(digest.update, value, "what key= returned")
    if version is not None:
        _named(digest.update, version, "version")
    return digest.digest()


_Put = Callable[[Any], None]


def _named(put: _Put, value: Any, name: str) -> None:
    try:
        _put(put, value, 0)
    except NoContent as none:
        raise TypeError(
            f"{name} has no content to make a key of: {none.what}; "
            "pass key= a function of the arguments that returns strings and numbers, "
            "such as key=lambda self, text: text"
        ) from None


def _put(put: _Put, value: Any, depth: int) -> None:
    writer = _WRITERS.get(type(value))
    if writer is not None:
        writer(put, value, depth)
    else:
        _put_other(put, value, depth + 1)


def _inner(value: Any, depth: int) -> bytes:
    """The digest of one value by itself, for those whose order means nothing."""
    digest = blake2b(digest_size=_BYTES)
    _put(digest.update, value, depth)
    return digest.digest()


def _raw(put: _Put, tag: bytes, content: bytes) -> None:
    put(b"%b%d " % (tag, len(content)))
    put(content)


def _constant(tag: bytes) -> Callable[[_Put, Any, int], None]:
    def write(put: _Put, value: Any, depth: int) -> None:
        put(tag)

    return write


def _bool(put: _Put, value: Any, depth: int) -> None:
    put(b"T" if value else b"F")


def _int(put: _Put, value: Any, depth: int) -> None:
    put(b"i%x " % value)


def _float(put: _Put, value: Any, depth: int) -> None:
    put(b"f" + struct.pack("<d", value))


def _complex(put: _Put, value: Any, depth: int) -> None:
    put(b"c" + struct.pack("<dd", value.real, value.imag))


def _text(put: _Put, value: Any, depth: int) -> None:
    _raw(put, b"s", value.encode("utf-8", "surrogatepass"))


def _bytes(put: _Put, value: Any, depth: int) -> None:
    _raw(put, b"b", value)


def _bytearray(put: _Put, value: Any, depth: int) -> None:
    _raw(put, b"B", bytes(value))


def _view(put: _Put, value: Any, depth: int) -> None:
    _raw(put, b"v", f"{value.format} {value.shape}".encode())
    _raw(put, b"b", value.tobytes())


def _sequence(tag: bytes) -> Callable[[_Put, Any, int], None]:
    def write(put: _Put, value: Any, depth: int) -> None:
        _deeper(depth)
        put(b"%b%d " % (tag, len(value)))
        for one in value:
            _put(put, one, depth + 1)

    return write


def _set(put: _Put, value: Any, depth: int) -> None:
    _deeper(depth)
    put(b"S%d " % len(value))
    put(b"".join(sorted(_inner(one, depth + 1) for one in value)))


def _mapping(put: _Put, value: Any, depth: int) -> None:
    _deeper(depth)
    put(b"d%d " % len(value))
    put(b"".join(sorted(_inner(pair, depth + 1) for pair in value.items())))


def _deeper(depth: int) -> None:
    if depth > _DEEPEST:
        raise NoContent(f"it is nested more than {_DEEPEST} deep, or contains itself")


def _printed(tag: bytes) -> Callable[[_Put, Any, int], None]:
    """For types whose text is their whole content."""

    def write(put: _Put, value: Any, depth: int) -> None:
        _raw(put, tag, str(value).encode())

    return write


_WRITERS: dict[type, Callable[[_Put, Any, int], None]] = {
    type(None): _constant(b"N"),
    type(...): _constant(b"E"),
    bool: _bool,
    int: _int,
    float: _float,
    complex: _complex,
    str: _text,
    bytes: _bytes,
    bytearray: _bytearray,
    memoryview: _view,
    tuple: _sequence(b"("),
    list: _sequence(b"["),
    set: _set,
    frozenset: _set,
    dict: _mapping,
    types.MappingProxyType: _mapping,
    decimal.Decimal: _printed(b"D"),
    fractions.Fraction: _printed(b"R"),
    uuid.UUID: _printed(b"U"),
    range: _printed(b"r"),
    dt.date: _printed(b"y"),
    dt.timedelta: _printed(b"w"),
}
"""How values of exactly these types are written; a set and a frozenset of the same are one key."""


def _put_other(put: _Put, value: Any, depth: int) -> None:
    """Subclasses, arrays and records: the type's name, and all that they hold."""
    _deeper(depth)
    kind = type(value)
    _raw(put, b"t", f"{kind.__module__}.{kind.__qualname__}".encode())
    numpy = sys.modules.get("numpy")
    if isinstance(value, enum.Enum):
        _put(put, value.name, depth)
        _put(put, value.value, depth)
    elif numpy is not None and isinstance(value, numpy.ndarray):
        _array(put, value, depth)
    elif numpy is not None and isinstance(value, numpy.generic):
        _array(put, numpy.asarray(value), depth)
    elif isinstance(value, dt.datetime | dt.time):
        _put(put, (value.isoformat(), value.fold, str(value.tzinfo)), depth)
    elif isinstance(value, pathlib.PurePath):
        _put(put, str(value), depth)
    elif isinstance(value, slice):
        _put(put, (value.start, value.stop, value.step), depth)
    elif isinstance(value, type):
        _class(put, value)
    elif dataclasses.is_dataclass(value):
        _record(put, value, (field.name for field in dataclasses.fields(value)), depth)
    elif isinstance(value, types.SimpleNamespace):
        _put(put, vars(value), depth)
    elif not _from_outside(put, value, kind.__module__.partition(".")[0], depth):
        _subclass(put, value, depth)


def _record(put: _Put, value: Any, names: Iterable[str], depth: int) -> None:
    for name in names:
        _put(put, name, depth)
        _put(put, getattr(value, name, None), depth)


def _class(put: _Put, value: type) -> None:
    if "<locals>" in value.__qualname__:
        raise NoContent(f"the class {value.__name__!r} is defined in a function, and there may be several")
    _raw(put, b"t", f"{value.__module__}.{value.__qualname__}".encode())


_ROOTS = (str, bytes, bytearray, int, float, complex, tuple, list, set, frozenset, dict)


def _subclass(put: _Put, value: Any, depth: int) -> None:
    """An instance of a class of the user's that extends a builtin one: that part, and its attributes."""
    for root in _ROOTS:
        if isinstance(value, root):
            if isinstance(value, OrderedDict):
                _WRITERS[tuple](put, tuple(value.items()), depth)
            else:
                _WRITERS[root](put, value, depth)
            _put(put, getattr(value, "__dict__", None) or None, depth)
            if isinstance(value, dict):  # what a defaultdict makes is content too, where it is a class
                _put(put, getattr(value, "default_factory", None), depth)
            return
    raise NoContent(f"it is, or holds, an object of type {type(value).__name__!r}")


# -- arrays ------------------------------------------------------------------------------------------------

_PLAIN_BYTES = frozenset("biufcSUMm")
"""Kinds of numpy's dtypes whose bytes are their whole content, and not an address."""


def _array(put: _Put, array: Any, depth: int) -> None:
    """An array's dtype, shape and bytes; those of a structure field by field, those of objects one by one."""
    dtype = array.dtype
    _raw(put, b"a", f"{dtype.name} {dtype.str} {array.shape}".encode())
    if dtype.names:
        for name in dtype.names:
            _text(put, name, depth)
            _array(put, array[name], depth)
    elif dtype.kind in _PLAIN_BYTES or (dtype.kind == "V" and not dtype.hasobject):
        put(memoryview(_contiguous(array)).cast("B") if array.size else b"")
    else:
        _put(put, array.tolist(), depth)
    mask = getattr(array, "mask", None)
    if mask is not None:
        _put(put, mask.tolist(), depth)


def _contiguous(array: Any) -> Any:
    import numpy as np

    return np.frombuffer(np.asarray(array).tobytes(), dtype="u1")


_TENSORS = frozenset({"torch", "jax", "jaxlib", "tensorflow", "cupy"})


def _from_outside(put: _Put, value: Any, package: str, depth: int) -> bool:
    """Tensors, tables and records, read without importing their package; False where *value* is none."""
    kind = type(value)
    if hasattr(kind, "__pydantic_fields__"):
        _record(put, value, ("__dict__", "__pydantic_extra__", "__pydantic_private__"), depth)
    elif hasattr(kind, "__attrs_attrs__"):
        _record(put, value, (field.name for field in kind.__attrs_attrs__), depth)
    elif package in _TENSORS and hasattr(value, "__array__"):
        _tensor(put, value, depth)
    elif package == "pandas" and hasattr(value, "columns"):
        _put(put, [list(value.columns), list(map(str, value.dtypes)), dict(value.attrs)], depth)
        _put(put, value.index, depth)
        for name in range(len(value.columns)):
            _values(put, value.iloc[:, name], depth)
    elif package == "pandas" and hasattr(value, "to_numpy"):
        labels = getattr(value, "names", None) or [value.name]
        _put(put, [list(labels), str(value.dtype), dict(getattr(value, "attrs", {}))], depth)
        if hasattr(value, "index"):
            _put(put, value.index, depth)
        _values(put, value, depth)
    else:
        # Not-a-time and the missing value are one object each: their type says all.
        return package == "pandas" and type(value).__name__ in {"NAType", "NaTType"}
    return True


def _tensor(put: _Put, value: Any, depth: int) -> None:
    import numpy as np

    try:
        for step in ("detach", "cpu"):
            value = getattr(value, step, lambda here=value: here)()
        _raw(put, b"o", str(value.dtype).encode())
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise NoContent(f"a tensor of type {type(value).__name__!r} gave no array") from error
    _array(put, array, depth)


def _values(put: _Put, value: Any, depth: int) -> None:
    import numpy as np

    _array(put, np.asarray(value), depth)
