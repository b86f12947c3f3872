"""The catalogue: complete, each entry made and told, and each strikes a callable."""

import inspect

import pytest

from resilient_ml.testing import faults
from resilient_ml.testing.faults import CATALOGUE, Fault, FaultPlan

GROUPS = {"errors", "time", "answers", "streams", "load", "processes", "hostile"}
NO_FAULTS = {"inject", "patched", "exponential", "lognormal", "pareto", "uniform", "replaced"}
"""Functions of the module that make no fault of their own."""


@pytest.mark.parametrize("name", CATALOGUE)
def test_an_entry_makes_a_fault_and_says_what_it_is(name):
    entry = CATALOGUE[name]
    fault = entry.make()
    assert isinstance(fault, Fault)
    assert entry.text
    assert "\n" not in entry.text
    assert entry.group in GROUPS
    assert "0x" not in str(fault)


def test_every_fault_there_is_has_an_entry():
    made = {entry.make().called for entry in CATALOGUE.values()}
    offered = {name for name in faults.__all__ if inspect.isfunction(getattr(faults, name))} - NO_FAULTS
    assert offered - made == {"outage", "flapping"}  # which are errors that say when
    assert {"outage", "flapping"} <= set(CATALOGUE)


def test_the_catalogue_cannot_be_changed():
    with pytest.raises(TypeError):
        CATALOGUE["mine"] = CATALOGUE["nan"]


@pytest.mark.parametrize("name", sorted(name for name, entry in CATALOGUE.items() if entry.streams))
def test_what_strikes_only_streams_is_refused_elsewhere(name):
    with pytest.raises(TypeError, match="strikes streams"):
        FaultPlan(CATALOGUE[name].make()).inject(len)
