"""What the suite tries policies with: objects that answer no question, so that one that is asked shows."""

import pytest

from resilient_ml.testing.conformance import strange

QUESTIONS = {
    "truth": bool,
    "length": len,
    "equality": lambda one: one == 1,
    "inequality": lambda one: one != 1,
    "hash": hash,
    "repr": repr,
    "text": str,
    "format": lambda one: f"{one:>8}",
}


@pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS.keys())
@pytest.mark.parametrize("kind", [strange.Hostile, strange.HostileError, strange.HostileTransientError])
def test_a_hostile_object_answers_no_question(kind, ask):
    with pytest.raises(strange.Asked, match="asked for the truth, equality, hash, length or text"):
        ask(kind())


def test_errors_may_be_false_empty_or_equal_to_all():
    assert not strange.Falsy()
    assert not strange.Empty()
    assert strange.EqualToAll() == 1
    with pytest.raises(TypeError, match="has no hash"):
        hash(strange.EqualToAll())
