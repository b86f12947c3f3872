"""The benchmarks measure what they say: everything guarded answers, refuses and fails as its policy should.

Nothing here is timed: a benchmark's figures are for readers, on a machine of their own.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from resilient_ml import BulkheadFull, CircuitOpen, DeadlineExceeded, deadline

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"
SCRIPTS = ["overhead_sync", "overhead_async", "overhead_timeout", "rejection", "threads", "streams"]


@pytest.fixture(autouse=True)
def benchmarks_are_importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) == str(FOLDER / f"{name}.py"):
            del sys.modules[name]


@pytest.fixture
def fused(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = import_module("fused")
    monkeypatch.setattr(module, "Backoff", lambda: module.ConstantBackoff(0.0), raising=False)
    return module
