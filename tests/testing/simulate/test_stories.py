"""The example and the benchmark tell what the simulation found, and it is the story that they promise."""

import math
import sys
from importlib import import_module
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def story(monkeypatch):
    """The example and the benchmark as modules, forgotten again after the test."""

    def load(folder, name):
        monkeypatch.syspath_prepend(str(ROOT / folder))
        return import_module(name)

    before = set(sys.modules)
    yield load
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith((str(ROOT / "ex"), str(ROOT / "be"))):
            del sys.modules[name]


def test_the_example_shows_the_collapse_and_the_recovery(story, monkeypatch, capsys):
    module = story("examples", "metastable")
    monkeypatch.setattr(module, "SECONDS", 50.0)
    arms = module.main(seed=1)
    naive, guarded = arms["troubled"]
    assert math.isinf(naive.result.recovered_after(module.OVER))
    assert naive.result.requests.between(40, 50).availability == 0.0
    assert guarded.result.recovered_after(module.OVER) <= 4.0
    assert all(arm.result.availability > 0.99 for arm in arms["calm"])
    assert all(arm.result.recovered_after(module.OVER) == 0.0 for arm in arms["calm"])
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in printed if "<- slow" in line] == printed[6:8]
    assert printed[-1] == "" and "never" in "".join(printed)
    assert max(map(len, printed)) <= 90


def test_a_bar_is_as_long_as_its_share(story):
    bar = story("examples", "metastable").bar
    assert [bar(share, 4) for share in (0.0, 0.5, 1.0)] == ["····", "██··", "████"]


def test_the_benchmark_prints_a_row_for_each_scene_and_each_trigger(story, monkeypatch, capsys):
    module = story("benchmarks", "simulation")
    monkeypatch.setattr(module, "LAST", 40.0)
    slow = module.TRIGGERS["slow, factor 4"]
    monkeypatch.setattr(module, "TRIGGERS", {"slow": slow})
    module.main(import_module("measuring").Options(rounds=1, calls=50))
    printed = capsys.readouterr().out
    for scene in module.SCENES:
        assert scene.name in printed
    for guard in module.GUARDS:
        assert guard in printed
    assert "nan" not in printed
