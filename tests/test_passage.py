"""A stream's tape: what was put down and then not passed on again is taken off."""

from resilient_ml import Stream
from resilient_ml._passage import Tape
from resilient_ml._stream_rules import NO_RULES


def test_an_item_that_had_been_passed_on_before_is_taken_off_again():
    rules = Stream(keep=10).stream_rules
    tape = Tape(rules, 0.0)
    for item in ("to", "ken"):
        tape.passed(item)
    tape.passed_before()
    assert (tape.delivered, list(tape.kept)) == (1, ["to"])


def test_where_nothing_is_kept_it_is_counted_alone():
    tape = Tape(NO_RULES, 0.0)
    tape.passed("to")
    tape.passed_before()
    assert tape.delivered == 0
    assert not tape.kept
