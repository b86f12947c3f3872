"""The JSON: its schema is a promise, the same seed gives the same bytes, and every number is a number."""

import json
import math

import pytest

from resilient_ml.evaluate import Outage, Span
from resilient_ml.evaluate.document import SCHEMA, VERSION, document
from resilient_ml.evaluate.evaluation import Evaluation

from .made import arm, facts, replies, reply, shop_evaluation


@pytest.fixture(scope="module")
def told():
    return json.loads(shop_evaluation().to_json())


def test_the_schema_has_a_name_and_a_version(told):
    assert (told["schema"], told["version"]) == (SCHEMA, VERSION) == ("resilient_ml.evaluation", 1)


def test_the_fields_of_version_1_are_these(told):
    assert list(told) == [
        *(
            "schema",
            "version",
            "model",
            "seed",
            "virtual",
            "level",
            "workload",
            "faults",
            "notes",
            "requests",
            "seconds",
        ),
        *("passed", "outages", "kpis", "configurations", "comparisons", "objectives"),
    ]
    assert list(told["outages"][0]) == ["begins", "ends", "known"]
    assert list(told["kpis"][0]) == ["name", "unit", "better", "text"]
    first = told["configurations"][0]
    assert list(first) == [
        *(
            "name",
            "description",
            "kpis",
            "calls",
            "outages",
            "groups",
            "leaks",
            "events",
            "states",
            "timeline",
        ),
    ]
    assert list(first["kpis"]["availability"]) == ["value", "low", "high"]
    assert list(first["outages"][0]) == ["begins", "ends", "detected", "recovered"]
    assert list(first["leaks"]) == ["threads", "tasks", "descriptors", "memory"]
    assert list(first["timeline"]) == ["step", "right", "degraded", "wrong", "rejected", "failed", "hung"]
    assert list(told["configurations"][1]["states"][0]) == ["policy", "state", "begins", "ends"]
    assert list(told["comparisons"][0]) == [
        *("kpi", "configuration", "baseline", "difference", "gain", "p", "adjusted_p", "significant"),
        *("only_here", "only_baseline"),
    ]
    assert list(told["objectives"][0]) == ["objective", "configuration", "met", "found", "text"]


def test_the_numbers_are_those_of_the_evaluation(told):
    naked, guarded = told["configurations"]
    assert told["requests"] == 100
    assert told["seconds"] == 10.0
    assert told["outages"] == [{"begins": 4.0, "ends": 6.0, "known": True}]
    assert (naked["kpis"]["availability"]["value"], guarded["kpis"]["availability"]["value"]) == (0.8, 1.0)
    assert naked["kpis"]["cost"]["value"] == 0.25
    assert naked["timeline"]["failed"][:4] == [0, 0, 0, 0]
    assert sum(naked["timeline"]["failed"]) == 20
    assert guarded["events"]["FallbackServed"] > 10
    assert [one["state"] for one in guarded["states"]][:3] == ["closed", "open", "half_open"]
    assert told["passed"] is False
    assert [one["met"] for one in told["objectives"]] == [True, False]


def test_the_same_seed_gives_the_same_bytes():
    assert shop_evaluation().to_json() == shop_evaluation().to_json()


def test_it_is_plain_data():
    evaluation = shop_evaluation()
    assert evaluation.to_dict() == json.loads(evaluation.to_json())


def test_it_is_written_where_it_is_wanted(tmp_path):
    text = shop_evaluation().to_json(tmp_path / "result.json")
    assert (tmp_path / "result.json").read_text("utf-8") == text
    assert text.endswith("}\n")


def test_what_json_has_no_number_for_is_told_in_words():
    never = facts(replies(reply()), outages=(Outage(Span(1.0, 2.0), None, math.inf),))
    made = arm("naked", {})
    made = type(made)("naked", "by hand", made.run, never, {})
    told = document(
        Evaluation("m", {"naked": made}, (), (), (), (Span(1.0, 2.0),), "w", (), 0, virtual=False, level=0.95)
    )
    assert told["configurations"][0]["outages"] == [
        {"begins": 1.0, "ends": 2.0, "detected": None, "recovered": "infinite"}
    ]
    json.dumps(told, allow_nan=False)


def test_a_loss_without_end_is_told_too():
    from resilient_ml.evaluate.document import _number

    assert _number(-math.inf) == "-infinite"
    assert _number(math.nan) is None
    assert _number(0.1 + 0.2) == 0.3
