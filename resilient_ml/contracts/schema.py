"""The structure of an answer: JSON, and a schema that it fits."""

from __future__ import annotations

import importlib
import json
import re
from typing import Any, NoReturn

from .. import _checks
from .fits import check_type, misfit
from .rule import Action, Part, Rule, TextOf, Watch, kind_of_value, text_reader
from .texts import WholeText

_FENCE = re.compile(r"```[a-zA-Z]*\n(.*?)```", re.DOTALL)


_VALIDATES = ("model_validate", "iter_errors", "validate")


class Schema(Rule):
    """An answer, or the JSON in its text, has the structure that *schema* says.

    ``then="repair"`` takes the JSON out of the talk and the fences around it. On a stream the whole text is
    looked at in the end.

    Args:
        schema: What it must fit:

            * a type, as in annotations: ``list[float]``, ``dict[str, int]``, ``Literal["a", "b"]``, a
              ``TypedDict`` or a dataclass;
            * a class with ``model_validate``, such as a pydantic model;
            * an object with ``validate(value)``, which raises, or ``iter_errors(value)``, such as a validator
              of jsonschema;
            * a JSON Schema as a dict, checked by ``jsonschema``, of ``pip install 'resilient-ml[schema]'``;
            * None for any JSON.
        then, of, repair, name: As for :class:`Rule`.

    Raises:
        ImportError: *schema* is a dict, and jsonschema is not there.

    >>> from typing import TypedDict
    >>> class Verdict(TypedDict):
    ...     label: str
    ...     score: float
    >>> Schema(Verdict).flaw('{"label": "good"}')
    "does not fit: it lacks 'score'"
    """

    mends: bool = True

    def __init__(
        self,
        schema: Any = None,
        *,
        then: Action | None = None,
        of: Part = None,
        repair: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(then=then, of=of, repair=repair, name=name)
        self._schema = _validator(schema) if isinstance(schema, dict) else schema
        validates = any(callable(getattr(self._schema, one, None)) for one in _VALIDATES)
        if schema is not None and not validates:
            check_type(schema)

    def flaw(self, value: Any) -> str | None:
        """Where it does not fit."""
        if isinstance(value, str | bytes | bytearray):
            try:
                value = json.loads(value, parse_constant=_no_number)
            except RecursionError:
                return "is JSON that is nested too deeply"
            except ValueError as error:
                return (
                    f"is not JSON: {error}" if isinstance(error, _NoNumber) else f"is not JSON: {_at(error)}"
                )
        elif self._schema is None:
            return f"is {kind_of_value(value)}, not the text of a JSON"
        try:
            return self._misfit(value)
        except RecursionError:
            return "is nested too deeply"

    def _misfit(self, value: Any) -> str | None:
        schema = self._schema
        if schema is None:
            return None
        if callable(getattr(schema, "model_validate", None)):
            return (
                None
                if isinstance(schema, type) and isinstance(value, schema)
                else _raised(schema.model_validate, value)
            )
        if callable(getattr(schema, "iter_errors", None)):
            for error in schema.iter_errors(value):
                path = "".join(f"[{part!r}]" for part in getattr(error, "absolute_path", ()))
                rule = getattr(error, "validator", None)
                return f"does not fit{' at ' + path if path else ''}{f': {rule}' if rule else ''}"
            return None
        if not isinstance(schema, type) and callable(getattr(schema, "validate", None)):
            return _raised(schema.validate, value)
        found = misfit(value, schema)
        return None if found is None else f"does not fit: it {found}"

    def _mended(self, value: Any) -> Any:
        """The first JSON within the text."""
        if not isinstance(value, str):
            return value
        fenced = _FENCE.search(value)
        text = fenced[1] if fenced else value
        for place in (match.start() for match in re.finditer(r"[{\[]", text[:10_000])):
            try:
                _, end = json.JSONDecoder().raw_decode(text, place)
            except (ValueError, RecursionError):
                continue
            return text[place:end]
        return value

    def watch(self, text_of: TextOf) -> Watch:
        """Waits for the end."""
        return _SchemaWatch(self, text_of)


class _SchemaWatch(Watch):
    def __init__(self, rule: Schema, text_of: TextOf) -> None:
        self._rule = rule
        self._text = text_reader(text_of)
        self._whole = WholeText()
        self._begun = False

    def take(self, chunk: Any) -> str | None:
        text = self._text(chunk)
        if text is None:
            return f"has a chunk that is {kind_of_value(chunk)}, not text; pass text_of="
        if not self._begun and text.strip():
            self._begun = True
            if text.lstrip()[0] not in '{["-0123456789tfn':
                return "is not JSON: no JSON begins so"
        self._whole.add(text)
        return None

    def end(self) -> str | None:
        text = self._whole.text
        return "is too long to be looked at in one piece" if text is None else self._rule.flaw(text)


class _NoNumber(ValueError):
    """NaN or an infinity, which Python's reader takes and JSON does not have."""


def _no_number(name: str) -> NoReturn:
    raise _NoNumber(f"it has {name}")


def _at(error: ValueError) -> str:
    """What the reader says, without the text that it read."""
    return (
        f"{error.msg} at character {error.pos}"
        if isinstance(error, json.JSONDecodeError)
        else type(error).__name__
    )


def _raised(check: Any, value: Any) -> str | None:
    """The kind of error that *check* raises, and no text of it: that would hold the value."""
    try:
        check(value)
    except Exception as error:  # noqa: BLE001 - a validator of whatever make
        count = getattr(error, "error_count", None)
        several = f", {count()} times" if callable(count) else ""
        return f"does not fit: {type(error).__name__}{several}"
    return None


def _validator(schema: dict[str, Any]) -> Any:
    try:
        jsonschema = importlib.import_module("jsonschema")
    except ImportError as error:
        raise ImportError(
            "a JSON Schema needs jsonschema: pip install 'resilient-ml[schema]', or pass a type, a TypedDict "
            "say"
        ) from error
    kind = jsonschema.validators.validator_for(schema)
    try:
        kind.check_schema(schema)
    except Exception as error:
        raise ValueError(
            f"schema must be a JSON Schema, got {_checks.shown(schema)}: {type(error).__name__}"
        ) from error
    return kind(schema)
