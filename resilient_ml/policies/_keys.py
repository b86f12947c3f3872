"""What a policy knows equal calls by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _checks
from .._call import Call
from .._content import content_key, key_of_value
from .._scopes import Scopes


class Keys:
    """Makes the key of a call: of its function, its arguments and the model's version.

    Args:
        key: Takes the arguments of the call and returns what to know it by; None to read the arguments. Where
            it returns None itself, the call has no key.
        version: The version of the model, or a function without arguments that says it.
    """

    __slots__ = ("_key", "_scopes", "_version")

    def __init__(self, key: Callable[..., Any] | None, version: Any) -> None:
        self._key = (
            None
            if key is None
            else _checks.function(
                "key", key, remedy="pass a function of the call's arguments, or None to read them"
            )
        )
        self._version = version
        self._scopes = Scopes()

    def version(self) -> Any:
        """The model's version now."""
        return self._version() if callable(self._version) else self._version

    def of(self, call: Call, version: Any) -> bytes | None:
        """The key of *call*; None where its ``key=`` says it has none."""
        scope = self._scopes.of(call.fn)
        if self._key is None:
            return content_key(scope, call.args, call.kwargs, version)
        value = self._key(*call.args, **call.kwargs)
        return None if value is None else key_of_value(scope, value, version)

    def all(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[bytes]:
        """The keys that a call with these arguments may have now, one for each function."""
        version = self.version()
        if self._key is None:
            return [content_key(scope, args, kwargs, version) for scope in self._scopes.all()]
        value = self._key(*args, **kwargs)
        return [key_of_value(scope, value, version) for scope in self._scopes.all()]
