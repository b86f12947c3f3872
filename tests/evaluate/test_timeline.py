"""Timelines: every request is in one step, and steps are round."""

import pytest

from resilient_ml.evaluate.timeline import timeline

from .made import replies, reply


def test_every_request_is_counted_once_by_its_verdict():
    rows = replies(reply(0), reply(1, status="failed"), reply(2), reply(10, status="hung"))
    line = timeline(rows, 10.0, steps=10)
    assert line.step == 1.0
    assert line.counts["right"] == [1, 0, 1, 0, 0, 0, 0, 0, 0, 0]
    assert line.counts["failed"] == [0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert line.counts["hung"] == [0] * 9 + [1]  # one that arrives at the very end is in the last step
    assert sum(map(sum, line.counts.values())) == 4


@pytest.mark.parametrize(
    ("seconds", "step", "length"),
    [
        (0.01, 0.002, 5),
        (3.0, 0.1, 30),
        (60.0, 0.5, 120),
        (61.0, 1.0, 61),
        (3600.0, 30.0, 120),
        (1e6, 10_800.0, 93),
    ],
)
def test_steps_are_round_and_few(seconds, step, length):
    line = timeline(replies(reply(0)), seconds, steps=120)
    assert line.step == pytest.approx(step)
    assert len(line.counts["right"]) == length
    assert line.seconds >= seconds
