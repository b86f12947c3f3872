"""Who may import whom, and what a policy's body may do: read from the sources, so that nothing slips in.

A module may import of ours what its layer names, and no clock, lock, loop or randomness but what its layer or
its own exception names. A module that no layer names fails: add it here, with the reason.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import resilient_ml

ROOT = Path(resilient_ml.__file__).parent

GUARDED = {"anyio", "asyncio", "datetime", "os", "random", "socket", "subprocess", "threading"}
GUARDED |= {"time", "trio"}
"""What a module must be allowed by name: clocks, locks, loops, randomness, and the world outside."""

OUTSIDE = {"numpy", "anyio", "typing_extensions"}
"""The run-time dependencies. Trio is imported only where it already runs."""


EXTRAS = {"testing": {"pytest", "trio"}, "evaluate": {"jinja2", "markupsafe", "matplotlib", "rich", "trio"}}
"""What packages may import besides, once it is asked for."""

NEEDS_ITS_EXTRA = {"testing.plugin"}
"""Loaded by the tool itself."""


@dataclass(frozen=True)
class Layer:
    """*holds* these modules and packages; they *may* import those, and *may_guarded* of what is guarded."""

    name: str
    holds: tuple[str, ...]
    may: tuple[str, ...] = ()
    guarded: tuple[str, ...] = ()


GROUND = (
    "errors",
    "events",
    "kinds",
    "rate_headers",
    "retry_after",
    "_classifier",
    "_checks",
    "_forks",
    "_notes",
)
CORE = (
    "_ambient",
    "_call",
    "_colour",
    "_outcome",
    "_policy",
    "_derive",
    "_passage",
    "_race",
    "_stream_rules",
    "_content",
    "_keeping",
    "_late",
    "_scopes",
)
# The empty name is the package itself, as in `from . import Retry`.
PRODUCT = (
    "",
    *GROUND,
    *CORE,
    "stats",
    "machines",
    "contracts",
    "drift",
    "policies",
    "_drivers",
    "_pipeline",
    "_order",
    "__init__",
)
LAYERS = (
    Layer("ground", GROUND),
    Layer("statistics", ("stats",), ("errors", "stats")),
    Layer("rules on answers", ("contracts",), ("errors", "_checks", "contracts")),
    Layer("detectors of drift", ("drift",), ("errors", "_checks", "stats", "drift")),
    # A machine's lock is its own, and is never held while anybody waits.
    Layer("machines", ("machines",), (*GROUND, "stats", "machines"), ("threading",)),
    Layer("core", CORE, (*GROUND, *CORE)),
    # `random` for the source of jitter when the user gives none: it is only ever asked for a draw.
    Layer(
        "policies",
        ("policies",),
        (*GROUND, *CORE, "stats", "machines", "contracts", "drift", "policies"),
        ("random",),
    ),
    Layer("drivers", ("_drivers",), (*GROUND, *CORE, "_drivers")),
    Layer("pipeline", ("_pipeline", "_order"), (*GROUND, *CORE, "_drivers", "_pipeline", "_order")),
    # Everything above, and whatever a test or a report needs of the world outside.
    Layer("testing", ("testing",), (*PRODUCT, "testing"), tuple(sorted(GUARDED))),
    Layer("evaluation", ("evaluate", "__main__"), (*PRODUCT, "testing", "evaluate"), tuple(sorted(GUARDED))),
    # The package's own face shows everything.
    Layer("face", ("__init__",), (*GROUND, *CORE, "stats", "machines", "policies", "_pipeline", "_order")),
)

# Inside a layer, and beyond it: what one module may besides its layer, and why.
GROUND_PEERS = {
    "errors": set[str](),
    "_checks": set[str](),
    "_forks": set[str](),
    "_notes": set[str](),
    "events": {"_forks"},  # its list of listeners has a lock
    "_classifier": {"errors"},  # tells our own errors from others
    "kinds": {"_classifier", "_forks"},  # the rules; its list of the users' rules has a lock
    "retry_after": {"_classifier"},  # reads attributes and causes as the rules do
    "rate_headers": {"_classifier", "retry_after"},  # reads headers as it does
}
ALSO_GUARDED = {
    "retry_after": {"datetime"},  # reads the date that a server sent, given the instant
    "rate_headers": {"datetime"},  # the same
    "_forks": {"os", "threading"},  # registers with the system; makes the modules' locks
    "_ambient": {"time"},  # the clock outside of any call
    "policies._marks": {"os"},  # a mark says which process made it
    "_drivers.blocking": {"time", "threading"},  # waits by blocking a thread
    "_content": {"datetime"},  # reads dates that are arguments
    "_scopes": {"threading"},  # its table has a lock
    "_drivers.workers": {"threading"},  # the threads that may be left behind
    "_drivers.streams": {"time"},  # binds the clock of its calls
    "_drivers.async_streams": {"time", "asyncio"},  # tells its own cancellation from others
    "_drivers.suspending": {"time", "asyncio", "anyio", "trio"},  # waits by suspending a task
    "_drivers.expiry": {"asyncio"},  # a deadline on asyncio's own timers
    "_drivers.own_task": {"asyncio"},  # a task for what may not let itself be cancelled
    "_drivers.rivals": {"asyncio", "anyio", "trio"},  # attempts in tasks of their own
    "_drivers.task_streams": {"asyncio", "anyio", "trio"},  # the same, of streams
    "_drivers.loops": {"asyncio"},  # asks which loop runs here
    "_drivers.leaf": {"asyncio"},  # knows futures and tasks as results that are none yet
}


@dataclass(frozen=True)
class Import:
    """One import in one of our modules."""

    module: str
    target: str
    ours: bool
    typing_only: bool

    def __str__(self) -> str:
        return f"{self.module} imports {self.target}"


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts if parts == ("__init__",) or parts[-1] != "__init__" else parts[:-1])


SOURCES = {name_of(path): ast.parse(path.read_text("utf-8")) for path in sorted(ROOT.rglob("*.py"))}
PACKAGES = {name_of(path) for path in ROOT.rglob("__init__.py")} - {"__init__"}


def typing_only(tree: ast.Module) -> set[ast.AST]:
    """The nodes under ``if TYPE_CHECKING:``."""
    blocks = (node for node in ast.walk(tree) if isinstance(node, ast.If))
    return {
        inner
        for block in blocks
        if isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"
        for statement in block.body
        for inner in ast.walk(statement)
    }


def imports_of(module: str) -> Iterator[Import]:
    tree = SOURCES[module]
    unreal = typing_only(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, alias.name, ours=False, typing_only=node in unreal)
        elif isinstance(node, ast.ImportFrom):
            assert node.level or (node.module or "").partition(".")[0] != "resilient_ml", "ours are relative"
            for target in targets(module, node):
                yield Import(module, target, ours=bool(node.level), typing_only=node in unreal)


def targets(module: str, node: ast.ImportFrom) -> Iterator[str]:
    """The modules that ``from … import …`` names."""
    if not node.level:
        yield node.module or ""
        return
    parts = module.split(".")
    package = parts if module in PACKAGES else parts[:-1]
    base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
    for alias in node.names:
        inside = f"{base}.{alias.name}" if base else alias.name
        yield inside if inside in SOURCES else base


EVERY_IMPORT = [one for module in SOURCES for one in imports_of(module)]


def layer_of(module: str) -> Layer:
    holding = [layer for layer in LAYERS if module.partition(".")[0] in layer.holds]
    assert len(holding) == 1, f"{module} belongs to {len(holding)} layers: name it in exactly one"
    return holding[0]


@pytest.mark.parametrize("module", SOURCES)
def test_a_module_imports_only_what_its_layer_may(module: str) -> None:
    layer = layer_of(module)
    for one in imports_of(module):
        if one.ours:
            allowed = GROUND_PEERS[module] if layer.name == "ground" else set(layer.may)
            assert one.target.partition(".")[0] in allowed, f"{one}, which the layer of {layer.name} may not"


@pytest.mark.parametrize("module", SOURCES)
def test_clocks_locks_loops_and_randomness_are_only_where_they_belong(module: str) -> None:
    allowed = {*layer_of(module).guarded, *ALSO_GUARDED.get(module, ())}
    used = {one.target.partition(".")[0] for one in imports_of(module) if not one.ours} & GUARDED
    assert used <= allowed, f"{module} imports {sorted(used - allowed)}"
    assert ALSO_GUARDED.get(module, set()) <= used, f"{module} no longer needs its exception"


def test_exceptions_are_for_modules_that_exist() -> None:
    assert set(ALSO_GUARDED) <= set(SOURCES)
    assert set(GROUND_PEERS) == set(GROUND) <= set(SOURCES)
    for module, peers in GROUND_PEERS.items():
        assert peers == {one.target for one in imports_of(module) if one.ours}, module


def test_policies_do_not_know_each_other() -> None:
    # What several policies share has a name that begins with an underscore.
    for one in EVERY_IMPORT:
        if one.module.startswith("policies.") and one.target.startswith("policies"):
            assert one.target.startswith("policies._"), one


def test_only_the_face_knows_every_policy() -> None:
    assert {one.module for one in EVERY_IMPORT if one.target.startswith("policies.")} <= {
        "__init__",
        *(module for module in SOURCES if module.startswith("policies.")),
    }


def test_nothing_but_the_run_time_dependencies_is_imported_from_outside() -> None:
    for one in EVERY_IMPORT:
        root = one.target.partition(".")[0]
        if not one.ours and root not in sys.stdlib_module_names:
            assert root in OUTSIDE | EXTRAS.get(one.module.partition(".")[0], set()) or (
                root == "trio" and "trio" in ALSO_GUARDED.get(one.module, ())
            ), one


def test_optional_extras_are_imported_only_when_they_are_asked_for() -> None:
    for package, extras in EXTRAS.items():
        for module, tree in SOURCES.items():
            if module.partition(".")[0] == package and module not in NEEDS_ITS_EXTRA:
                at_import = {root for node in tree.body for root in roots_of(node)}
                assert not at_import & extras, module


def roots_of(node: ast.stmt) -> set[str]:
    """The packages that a statement at the top of a module imports."""
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and not node.level:
        return {(node.module or "").partition(".")[0]}
    return set()


def test_trio_is_imported_by_nobody_who_does_not_use_it() -> None:
    tree = SOURCES["_drivers.suspending"]
    at_import = [name for node in tree.body if isinstance(node, ast.Import) for name in node.names]
    assert "trio" not in {alias.name for alias in at_import}


def test_no_imports_go_in_a_circle() -> None:
    graph: dict[str, set[str]] = {module: set() for module in SOURCES}
    for one in EVERY_IMPORT:
        if one.ours and one.target and not one.typing_only:
            graph[one.module].add(one.target)
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path, module))
        if module not in done:
            for target in graph[module]:
                visit(target, (*path, module))
            done.add(module)

    for module in graph:
        visit(module, ())


PURE = {"stats", "machines", "drift"}


@pytest.mark.parametrize("module", [name for name in SOURCES if name.split(".")[0] in PURE])
def test_what_is_pure_never_waits(module: str) -> None:
    waits = (ast.AsyncFunctionDef, ast.Await, ast.AsyncWith, ast.AsyncFor)
    assert not [node.lineno for node in ast.walk(SOURCES[module]) if isinstance(node, waits)]


@pytest.mark.parametrize("module", SOURCES)
def test_a_file_is_one_idea_that_fits_its_name(module: str) -> None:
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if module in PACKAGES else path.with_suffix(".py")
    assert len(path.read_text("utf-8").splitlines()) <= 400
    assert path.stem.strip("_") not in {"utils", "helpers", "common", "base", "misc"}
    assert ast.get_docstring(SOURCES[module])


# ---- the rules of a policy's body

BODIES = {
    f"{module}.{kind.name}": function
    for module, tree in SOURCES.items()
    if module.startswith("policies.")
    for kind in tree.body
    if isinstance(kind, ast.ClassDef)
    for function in kind.body
    if isinstance(function, ast.AsyncFunctionDef)
}


def within(node: ast.AST, *kinds: type[ast.AST]) -> list[ast.AST]:
    return [inner for inner in ast.walk(node) if isinstance(inner, kinds)]


def test_every_policy_has_one_body_and_nothing_else_of_it_is_async() -> None:
    assert {name.rpartition(".")[2] for name in BODIES} == {
        "AdaptiveLimiter",
        "Budget",
        "Bulkhead",
        "Cache",
        "CircuitBreaker",
        "Coalesce",
        "Contract",
        "DriftDetector",
        "Fallback",
        "Hedge",
        "HotKeyLimiter",
        "Keyed",
        "OomSplit",
        "RateLimiter",
        "Retry",
        "RowIsolation",
        "StreamVisits",
        "SurgeGuard",
        "Throttle",
        "Timeout",
    }
    for function in BODIES.values():
        assert function.name == "around"
        assert [argument.arg for argument in function.args.args] == ["self", "proceed", "call"]
    ours = [tree for module, tree in SOURCES.items() if module.startswith("policies.")]
    assert sum(len(within(tree, ast.AsyncFunctionDef)) for tree in ours) == len(BODIES)


@pytest.mark.parametrize("body", BODIES)
def test_a_body_awaits_only_what_comes_next_and_its_runtime(body: str) -> None:
    awaited = [ast.unparse(node.value) for node in ast.walk(BODIES[body]) if isinstance(node, ast.Await)]
    assert awaited
    for expression in awaited:
        assert expression == "proceed(call)" or expression.startswith("call.runtime."), expression


@pytest.mark.parametrize("body", BODIES)
def test_a_body_holds_no_lock_across_an_await(body: str) -> None:
    assert not within(BODIES[body], ast.AsyncWith, ast.AsyncFor, ast.Yield, ast.YieldFrom)
    for block in within(BODIES[body], ast.With):
        assert not within(block, ast.Await)


@pytest.mark.parametrize("body", BODIES)
def test_a_body_keeps_nothing_of_a_call_on_its_policy(body: str) -> None:
    for node in within(BODIES[body], ast.Attribute, ast.Global, ast.Nonlocal):
        assert isinstance(node, ast.Attribute)
        if isinstance(node.ctx, ast.Store | ast.Del):
            assert ast.unparse(node.value) == "call", ast.unparse(node)


@pytest.mark.parametrize("body", BODIES)
def test_what_is_no_outcome_passes_through_a_body(body: str) -> None:
    for node in within(BODIES[body], ast.ExceptHandler):
        assert isinstance(node, ast.ExceptHandler)
        assert node.type is not None
        if ast.unparse(node.type) == "BaseException":
            last = node.body[-1]
            assert isinstance(last, ast.Raise) and last.exc is None, "give back, and raise it on"
    for block in within(BODIES[body], ast.Try):
        assert isinstance(block, ast.Try)
        # A return in a finally block would swallow a cancellation.
        assert not [leaves for last in block.finalbody for leaves in within(last, ast.Return, ast.Break)]


@pytest.mark.parametrize("body", BODIES)
def test_a_body_that_tightens_the_deadline_restores_it(body: str) -> None:
    function = BODIES[body]
    writes = {node for node in within(function, ast.Attribute) if is_deadline(node)}
    restored = {
        node
        for block in within(function, ast.Try)
        if isinstance(block, ast.Try)
        for last in block.finalbody
        for node in within(last, ast.Attribute)
        if is_deadline(node)
    }
    assert bool(writes) == bool(restored)
    assert not writes or body == "policies.timeout.Timeout"


def is_deadline(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "deadline" and isinstance(node.ctx, ast.Store)
