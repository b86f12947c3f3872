"""A drift detector in simulated time: what calls leave is taken up at once, on no thread."""

import threading

import pytest

from resilient_ml import DriftDetector
from resilient_ml.drift import Classes
from resilient_ml.testing.simulate import Clients, ModelServer, Poisson, simulate


@pytest.mark.parametrize("threads", [False, True])
def test_what_is_watched_is_taken_up_in_no_time_and_on_no_thread(threads):
    made = []

    def guard():
        signal = Classes("kind", lambda *args: "same", side="input")
        made.append(DriftDetector(signal, reference_size=100))
        return made[-1]

    before = threading.active_count()
    result = simulate(
        Clients(Poisson(50), ModelServer(workers=8, service=0.01), guard, threads=threads),
        seconds=10.0,
        seed=1,
    )
    assert result.availability == 1.0
    assert made[-1].state() == "ok"
    assert threading.active_count() == before
