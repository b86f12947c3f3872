"""How calls wait: what is refused, and what bands and tenants are read from the arguments."""

import pytest

from resilient_ml import Queue


def band(*args, **kwargs):
    return kwargs.get("band", "batch")


BANDS = {"band": band, "bands": ("interactive", "batch")}


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"size": 0}, ValueError, "size must be at least 1, got 0; pass queue=0 to let nobody wait"),
        ({"max_cost": 0}, ValueError, "max_cost must be above 0, got 0; pass None for no bound on the cost"),
        (
            {"order": "lifo"},
            ValueError,
            "order must be one of 'fifo', 'lifo_under_load', 'deadline', got 'lifo'",
        ),
        ({"max_tenants": 0}, ValueError, "max_tenants must be at least 1, got 0; pass how many to remember"),
        ({"ageing_seconds": 0}, ValueError, "ageing_seconds must be above 0, got 0; pass None to do without"),
        (
            {"target_seconds": -1},
            ValueError,
            "target_seconds must be above 0, got -1; pass None to do without",
        ),
        ({"interval_seconds": 0}, ValueError, "interval_seconds must be above 0, got 0; pass 0.1, say"),
        ({"standing_seconds": 0}, ValueError, "standing_seconds must be above 0, got 0; pass 0.1, say"),
        ({"predict": 1}, TypeError, "predict must be True or False, got 1; True refuses at once"),
        ({"tenant": "acme"}, TypeError, "tenant must be callable, got 'acme'; pass a function of the call's"),
        ({"band": "batch"}, TypeError, "band must be callable, got 'batch'; pass a function of the call's"),
        (
            {"bands": "batch"},
            ValueError,
            "bands must be different names; write bands=('interactive', 'batch')",
        ),
        ({"bands": ("a", "a")}, ValueError, "bands must be different names; write bands="),
        ({"bands": ("a", "b")}, ValueError, "band= and bands= belong together; pass bands="),
        ({"band": band}, ValueError, "band= and bands= belong together; pass bands="),
        (
            {**BANDS, "reserved": {"spare": 0.1}},
            ValueError,
            "reserved names 'spare', which is none of the bands",
        ),
        (
            {**BANDS, "reserved": {"batch": 0}},
            ValueError,
            "reserved must be above 0 and at most 1, got 0; pass",
        ),
        (
            {**BANDS, "reserved": {"batch": 0.6, "interactive": 0.6}},
            ValueError,
            "reserved must be at most 1 together, got 1.2; lower some of the shares",
        ),
    ],
)
def test_bad_rules_are_refused_with_the_remedy(wrong, error, message):
    with pytest.raises(error) as refused:
        Queue(**{"size": 10, **wrong})
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize("shares", [(1,), (0.5, 0.5), (0.05, 0.55, 0.3, 0.1), (0.1,) * 10])
def test_all_that_is_served_may_be_reserved(shares):
    bands = [f"band {number}" for number in range(len(shares))]
    rules = Queue(size=1, band=band, bands=bands, reserved=dict(zip(bands, shares, strict=True)))
    assert tuple(rules.reserved.values()) == shares


def test_the_rules_that_nobody_has_set():
    rules = Queue(size=1)
    assert (rules.order, rules.max_tenants, rules.predict) == ("fifo", 1024, True)
    assert (rules.interval_seconds, rules.standing_seconds) == (0.1, 0.1)
    assert rules.max_cost is rules.ageing_seconds is rules.target_seconds is None


def test_the_band_is_read_from_the_arguments():
    rules = Queue(size=1, **BANDS)
    assert rules.band_of((1,), {}) == 1
    assert rules.band_of((), {"band": "interactive"}) == 0
    assert Queue(size=1).band_of((1,), {}) == 0


def test_a_band_that_there_is_not_is_refused():
    with pytest.raises(
        ValueError, match="band must return one of 'interactive', 'batch', got 'spare'; add it to"
    ):
        Queue(size=1, **BANDS).band_of((), {"band": "spare"})


def test_the_tenant_is_read_from_the_arguments():
    assert Queue(size=1, tenant=lambda prompt, user: user).tenant_of(("fine", "acme"), {}) == "acme"
    assert Queue(size=1).tenant_of(("fine", "acme"), {}) is None


def test_a_tenant_that_cannot_be_told_apart_is_refused_by_name():
    rules = Queue(size=1, tenant=lambda user: [user])
    with pytest.raises(
        TypeError, match="tenant must return something hashable, got an object of type list; return a name"
    ):
        rules.tenant_of(("ann",), {})
