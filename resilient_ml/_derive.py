"""A policy's body, bound to its place in a pipeline; for plain calls, without its awaits.

A body is an ``async def around(self, proceed, call)``.
Binding turns it into a function of one argument, ``step(call)``, whose ``self`` and ``proceed`` are closed
over: one frame for each policy and nothing looked up. For plain calls the same syntax tree is compiled
once more with each ``await X`` replaced by ``X``, under the same file and line numbers, so that
tracebacks, debuggers and coverage show the body as it was written. That twin costs half of what running
the coroutine costs.

Where this is not possible — no source or a changed one, a closure, a decorator, ``async with`` — there is no
twin, and
:func:`bind_blocking` returns None: the driver then runs the coroutine itself to its end with one ``send``.
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
import types
from collections.abc import Callable
from typing import Any

from ._call import Call
from ._policy import Policy

Step = Callable[[Call], Any]


def bind_blocking(policy: Policy, proceed: Step, *, copied: bool = True) -> Step | None:
    """*policy* around *proceed* as a plain function; None where no twin can be derived.

    Args:
        policy: The policy.
        proceed: The step inside it.
        copied: Give the place a code object of its own, which is worth it where it is used often.
    """
    twin = _twin(_body_of(policy), False)
    return None if twin is None else _close(twin, policy, proceed, copied=copied)


def bind_suspending(policy: Policy, proceed: Step, *, copied: bool = True) -> Step:
    """*policy* around *proceed* as a coroutine function."""
    twin = _twin(_body_of(policy), True)
    if twin is None:
        return functools.partial(policy.around, proceed)
    return _close(twin, policy, proceed, copied=copied)


def _body_of(policy: Policy) -> Any:
    return getattr(type(policy).around, "__func__", type(policy).around)


def _close(twin: types.FunctionType, policy: Policy, proceed: Step, *, copied: bool) -> Step:
    """A function of its own, closed over *policy* and *proceed*.

    Its code object is a copy: the interpreter specialises the call of ``proceed`` for each code object,
    so that a copy for each place in each pipeline keeps every one of them on the fast path.
    """
    values = {"self": policy, "proceed": proceed}
    cells = tuple(types.CellType(values[name]) for name in twin.__code__.co_freevars)
    code = twin.__code__.replace() if copied else twin.__code__
    step = types.FunctionType(code, twin.__globals__, twin.__name__, None, cells)
    step.__qualname__ = f"{type(policy).__qualname__}.around"
    return step


@functools.lru_cache(maxsize=256)
def _twin(around: Any, suspending: bool) -> types.FunctionType | None:
    """``around`` as a function of *call* alone, or None where it cannot be derived."""
    if not inspect.iscoroutinefunction(around) or around.__closure__ or hasattr(around, "__wrapped__"):
        return None
    try:
        source = textwrap.dedent(inspect.getsource(around))
        tree = ast.parse(source)
    except (OSError, TypeError, SyntaxError):
        return None
    body = tree.body[0]
    if not isinstance(body, ast.AsyncFunctionDef) or body.decorator_list or not _is_plain(body):
        return None
    if list(inspect.signature(around).parameters) != ["self", "proceed", "call"]:
        return None
    code = around.__code__
    if not _was_compiled_to(body, code):
        return None
    # Nested in a function that has self and proceed, so that the compiler makes them free variables.
    inner = _inner(body, suspending)
    outer = _function("bind", ["self", "proceed"], [inner, _return("around")])
    module = ast.fix_missing_locations(ast.Module(body=[outer], type_ignores=[]))
    ast.increment_lineno(module, code.co_firstlineno - 1)
    namespace: dict[str, Any] = {}
    try:
        compiled = compile(module, code.co_filename, "exec", dont_inherit=True)
    except SyntaxError:  # an asynchronous comprehension
        return None
    exec(compiled, around.__globals__, namespace)
    made: types.FunctionType = namespace["bind"](None, None)
    # A body that binds self or proceed anew, or means a global called around, would mean something else here.
    bound = {*made.__code__.co_varnames, *made.__code__.co_cellvars}
    free = {*made.__code__.co_freevars}
    return made if free <= {"self", "proceed"} and not bound & {"self", "proceed"} else None


def _was_compiled_to(body: ast.AsyncFunctionDef, code: types.CodeType) -> bool:
    """Whether *code* comes from *body*: a file may be replaced under a process that has loaded it."""
    module = compile(ast.Module(body=[body], type_ignores=[]), code.co_filename, "exec", dont_inherit=True)
    now = next(value for value in module.co_consts if isinstance(value, types.CodeType))
    return now.co_code == code.co_code and now.co_names == code.co_names and _values(now) == _values(code)


def _values(code: types.CodeType) -> list[object]:
    """The constants of *code*, but for the code of comprehensions, which knows its line."""
    return [value for value in code.co_consts if not isinstance(value, types.CodeType)]


def _is_plain(body: ast.AsyncFunctionDef) -> bool:
    """Whether dropping each await leaves the meaning as it is."""
    refused = (
        ast.AsyncWith,
        ast.AsyncFor,
        ast.AsyncFunctionDef,
        ast.FunctionDef,
        ast.Lambda,
        ast.Yield,
        ast.YieldFrom,
        ast.ClassDef,
    )
    nodes = [node for statement in body.body for node in ast.walk(statement)]
    # A private name (self.__x) is mangled by its class, which the twin is compiled without.
    private = any(_is_private(getattr(node, field, None)) for node in nodes for field in ("attr", "id"))
    return not private and not any(isinstance(node, refused) for node in nodes)


def _is_private(name: str | None) -> bool:
    return name is not None and name.startswith("__") and not name.endswith("__")


def _inner(body: ast.AsyncFunctionDef, suspending: bool) -> ast.stmt:
    statements = body.body
    if suspending:
        inner: ast.AsyncFunctionDef | ast.FunctionDef = ast.AsyncFunctionDef(
            "around", _parameters(["call"]), statements, []
        )
    else:
        plain = [_DropAwaits().visit(statement) for statement in statements]
        inner = ast.FunctionDef("around", _parameters(["call"]), plain, [])
    return ast.copy_location(inner, body)


class _DropAwaits(ast.NodeTransformer):
    def visit_Await(self, node: ast.Await) -> ast.expr:
        value = self.visit(node.value)
        assert isinstance(value, ast.expr)
        return value


def _parameters(names: list[str]) -> ast.arguments:
    return ast.arguments(
        posonlyargs=[], args=[ast.arg(name) for name in names], kwonlyargs=[], kw_defaults=[], defaults=[]
    )


def _function(name: str, parameters: list[str], body: list[ast.stmt]) -> ast.FunctionDef:
    return ast.FunctionDef(name, _parameters(parameters), body, [])


def _return(name: str) -> ast.Return:
    return ast.Return(ast.Name(name, ast.Load()))
