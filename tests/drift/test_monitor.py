"""Channels and segments: what they learn, when they change state, and what a false alarm may cost."""

import math
import sys
import threading

import numpy as np
import pytest

from resilient_ml.drift import Classes, Losses, Numbers, Vectors
from resilient_ml.drift.monitor import Channel, Monitor

NAN = math.nan


def draws(count, mean=0.0, seed=1):
    return np.random.default_rng(seed).normal(mean, size=count)


def channel(signal=None, **options):
    return Channel(
        signal or Numbers("x", memory=False), None, 1000.0, **{"size": 200, "rearm": 100, **options}
    )


def steps(changes):
    return [(change.before, change.after) for change in changes]


def test_a_channel_learns_warns_drifts_and_comes_back():
    one = channel()
    seen = steps(one.feed(draws(150)))
    assert (seen, one.state) == ([], "learning")
    seen = steps(one.feed(draws(100, seed=2)))
    assert seen == [("learning", "ok")]
    assert one.seen == 50
    for number in range(10):
        assert not any("drifted" in step for step in steps(one.feed(draws(20, seed=10 + number))))
    changes = []
    for number in range(20):
        changes += one.feed(draws(5, 2.0, seed=40 + number))
    seen = steps(changes)
    assert seen[-1] == ("warn", "drifted")
    (alarm,) = [change for change in changes if change.after == "drifted"]
    assert alarm.evidence is not None
    assert alarm.evidence.effect > 0.3
    assert alarm.signal == "x"
    quiet = []
    while one.state == "drifted":
        quiet += one.feed(draws(20, seed=len(quiet) + one.seen))
    assert steps(quiet) == [("drifted", "ok")]
    assert any(change.after == "drifted" for change in one.feed(draws(200, -2.0, seed=5)))


def test_a_warning_that_passes_is_taken_back():
    one = channel()
    one.feed(draws(200))
    changes = []
    for number in range(400):
        changes += one.feed(draws(5, 0.0, seed=number))
    seen = steps(changes)
    assert ("ok", "warn") in seen
    assert ("warn", "ok") in seen
    assert all(before != after for before, after in seen)


def test_what_follows_an_alarm_counts_as_quiet():
    one = channel(rearm=100)
    one.feed(draws(200))
    one.feed(np.concatenate([draws(30, 3.0, seed=3), draws(40, seed=4)]))
    assert one.state == "drifted"
    quiet = one._quiet
    assert 30 <= quiet <= 60
    one.feed(draws(one._needed - quiet - 1, seed=5))
    assert one.state == "drifted"
    one.feed(draws(1, seed=6))
    assert one.state == "ok"


def test_while_it_lasts_a_drift_does_not_end():
    one = channel(rearm=50)
    one.feed(draws(200))
    changes = []
    for number in range(100):
        changes += one.feed(draws(20, 1.0, seed=number))
    assert [step for step in steps(changes) if "drifted" in step] in (
        [("ok", "drifted")],
        [("warn", "drifted")],
    )
    assert one.state == "drifted"


def test_a_slow_alarm_needs_a_long_quiet():
    one = channel(rearm=1)
    one.feed(draws(200))
    one.feed(np.concatenate([draws(50, seed=3), draws(60, 1.5, seed=4)]))
    assert one.state == "drifted"
    assert one._needed >= 9
    assert one.detector.evidence.since * 3 == one._needed or one._needed > 1


def test_what_is_not_finite_is_no_reference():
    one = channel()
    values = draws(300)
    values[::3] = NAN
    changes = one.feed(values)
    assert steps(changes) == [("learning", "ok")]
    assert one.detector is not None
    assert one.seen == 0
    rows = channel(Vectors("x"))
    assert rows.feed(np.full((300, 2), NAN)) == []
    assert rows.state == "learning"


def test_a_reference_that_is_given_need_not_be_learned():
    monitor = Monitor([Numbers("x")], arl=1000, references={"x": draws(300)})
    assert monitor.state() == "learning"
    monitor.feed(monitor.signals[0], None, draws(10, seed=2))
    assert monitor.state() == "ok"
    with pytest.raises(ValueError, match="references must name signals, got 'y'; there are 'x'"):
        Monitor([Numbers("x")], arl=1000, references={"y": draws(300)})
    with pytest.raises(ValueError, match="there are none"):
        Monitor([], arl=1000, references={"y": draws(300)})


def test_a_reference_is_read_as_calls_are():
    label = Classes("label")
    monitor = Monitor([label], arl=1000, references={"label": ["dog", "cat"] * 50})
    monitor.check_references()
    monitor.feed(label, None, label.read(["cat", "dog"] * 100))
    assert monitor.state() == "ok"
    monitor.feed(label, None, label.read(["cow"] * 100))
    assert monitor.state() == "drifted"


def test_the_run_length_is_shared_by_the_signals_alone():
    signals = [Numbers("a"), Numbers("b"), Numbers("c")]
    monitor = Monitor(signals, arl=500, size=200)
    for segment in ("x", "y"):
        for signal in signals:
            monitor.feed(signal, segment, draws(200))
            assert monitor.channel(signal, segment).detector.arl == 1500


@pytest.mark.once
def test_ten_signals_in_five_segments_share_one_budget_of_false_alarms():
    numbers = [Numbers(f"number {one}", memory=False) for one in range(7)]
    signals = [*numbers, *(Classes(f"class {one}") for one in range(3))]
    monitor = Monitor(signals, arl=500, size=1000)
    rng = np.random.default_rng(1)
    alarms = 0
    for segment in range(5):
        common = rng.normal(size=41_000)
        for signal in signals:
            values = common + rng.normal(size=41_000)  # they move together
            if type(signal) is Classes:
                values = np.clip(np.floor(values) + 2, 0, 4)
            monitor.feed(signal, segment, values)
            alarms += monitor.channel(signal, segment).detector.alarms
    assert 0 < alarms <= 200_000 / 500


def test_segments_have_their_own_references_up_to_a_number():
    monitor = Monitor([Numbers("x", memory=False)], arl=1000, size=200, max_segments=2)
    signal = monitor.signals[0]
    monitor.feed(signal, "a", draws(200))
    monitor.feed(signal, "b", draws(200, 50.0))
    monitor.feed(signal, "c", draws(100, 99.0))
    monitor.feed(signal, "d", draws(100, 99.0))
    assert monitor.states() == {("x", "a"): "ok", ("x", "b"): "ok", ("x", "others"): "ok"}
    monitor.feed(signal, "b", draws(200))
    assert monitor.state("b") == "drifted"
    assert monitor.state("a") == "ok"
    assert monitor.state("nobody") == "ok"  # one of the others
    assert monitor.segment("nobody") == "others"


def test_a_segment_is_as_bad_as_its_worst_signal():
    one, two = Numbers("one", memory=False), Numbers("two", memory=False)
    monitor = Monitor([one, two], arl=1000, size=200)
    monitor.feed(one, None, draws(200))
    assert monitor.state() == "ok"
    monitor.feed(two, None, draws(200))
    monitor.feed(two, None, draws(200, 3.0))
    assert monitor.state() == "drifted"


def test_evidence_names_what_moved():
    signal = Vectors("row", names=("age", "income"))
    one = channel(signal)
    rows = np.random.default_rng(1).normal(size=(900, 3))
    one.feed(rows[:200])
    rows[300:, 1] += 3.0
    (change,) = [change for change in one.feed(rows[200:]) if change.after == "drifted"]
    assert change.parts[0][0] == "income"
    assert {name for name, _ in change.parts} == {"age", "income", "2"}

    classes = Classes("label")
    one = channel(classes)
    one.feed(classes.read(["cat", "dog"] * 100))
    changes = one.feed(classes.read(["cow"] * 50))
    assert changes[-1].parts[0][0] == "cow"
    assert {name for name, _ in changes[-1].parts} >= {"cat", "dog"}


def test_losses_that_are_tolerated_need_no_reference():
    one = channel(Losses(tolerated=0.1))
    assert one.state == "ok"
    assert one.feed(np.ones(30))[-1].after == "drifted"


# -- signals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signal", "value", "read"),
    [
        (Numbers("x"), 3, [3.0]),
        (Numbers("x"), [1, 2], [1.0, 2.0]),
        (Numbers("x"), [[1], [2]], [1.0, 2.0]),
        (Numbers("x"), np.ones((2, 1, 1)), [1.0, 1.0]),
        (Vectors("x"), [1, 2], [[1.0, 2.0]]),
        (Vectors("x"), [[1, 2], [3, 4]], [[1.0, 2.0], [3.0, 4.0]]),
        (Losses(), 0.5, [0.5]),
    ],
)
def test_a_signal_reads_numbers(signal, value, read):
    assert signal.read(value).tolist() == read


def test_losses_learn_what_is_usual():
    one = channel(Losses())
    one.feed((np.random.default_rng(1).random(200) < 0.1).astype(float))
    assert one.state == "ok"
    assert one.feed(np.ones(40))[-1].after == "drifted"
    assert Losses().part_name(3, one.detector) == "3"


class Slow:
    """A class that another thread meets first, while this one looks it up."""

    def __init__(self, signal, then):
        self.signal, self.then = signal, then

    def __hash__(self):
        if self.then:
            self.signal.read(self.then.pop())
        return 7

    def __eq__(self, other):
        return isinstance(other, Slow)

    def __str__(self):
        return "slow"


def test_two_threads_that_meet_new_classes_at_once_agree():
    signal = Classes("label")
    assert signal.read(Slow(signal, ["cat"])).tolist() == [1]
    assert signal.read(["cat", "dog"]).tolist() == [0, 2]
    other = Classes("label")
    assert other.read(Slow(other, [Slow(other, []), "cat"])).tolist() == [2]
    assert other.read(["cat", "dog", Slow(other, [])]).tolist() == [0, 1, 2]
    for one, names in ((signal, ["cat", "slow", "dog"]), (other, ["cat", "dog", "slow"])):
        assert [one._numbers.names[number] for number in range(3)] == names


def test_many_threads_give_many_classes_each_its_number_and_name():
    signal = Classes("label")
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [
            threading.Thread(target=lambda k=k: [signal.read(f"{(n * k) % 211}") for n in range(211)])
            for k in (1, 2, 3, 5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    numbers = signal.read([str(n) for n in range(211)]).astype(int).tolist()
    assert len(set(numbers)) == 211
    assert [signal._numbers.names[number] for number in numbers] == [str(n) for n in range(211)]


def test_labels_that_are_not_numbers_are_one_class():
    signal = Classes("label")
    assert signal.read([float("nan"), 1.0, float("nan"), np.float64("nan")]).tolist() == [0, 1, 0, 0]
    assert signal._numbers.names == {0: "nan", 1: "1.0"}


def test_a_full_house_still_knows_its_own():
    signal = Classes("label")
    signal.read([str(number) for number in range(1000)])
    assert signal.read(["new", "7", "new"]).tolist() == [-1, 7, -1]


class Choosy(Numbers):
    def detector(self, reference, arl):
        if reference.max() > 100.0:
            raise ValueError("reference must be below 100")
        return super().detector(reference, arl)


def test_after_a_reference_that_no_detector_can_use_another_is_learned():
    one = channel(Choosy("x"), size=100)
    for _ in range(3):
        with pytest.raises(ValueError, match="below 100"):
            one.feed(draws(100) + 1000.0)
        assert (one.state, one._count, one._learnt) == ("learning", 0, [])
    assert one.feed(draws(100))[-1].after == "ok"


def test_a_reference_of_vectors_may_be_given():
    rng = np.random.default_rng(5)
    monitor = Monitor([Vectors("row")], arl=1000, references={"row": rng.normal(size=(300, 3))})
    monitor.check_references()
    monitor.feed(monitor.signals[0], None, rng.normal(size=(100, 3)))
    assert monitor.state() == "ok"
    monitor.feed(monitor.signals[0], None, rng.normal(size=(100, 3)) + 2.0)
    assert monitor.state() == "drifted"


def test_what_is_read_is_a_copy():
    given = np.ones(3)
    read = Numbers("x").read(given)
    given[0] = 9
    assert read.tolist() == [1, 1, 1]


def test_classes_are_numbered_as_they_come_and_few():
    signal = Classes("label")
    assert signal.read("cat").tolist() == [0]
    assert signal.read(["dog", "cat", ("a", 1), True]).tolist() == [1, 0, 2, 3]
    assert signal.read(np.array(["cat", "cow"])).tolist() == [0, 4]
    detector = signal.detector(np.array([0.0, 1.0] * 50), 1000)
    assert [signal.part_name(part, detector) for part in (0, 1, 4, 99, -1)] == [
        "cat",
        "dog",
        "cow",
        "others",
        "others",
    ]
    assert signal.read([str(number) for number in range(3000)])[-1] == -1
    assert len(signal._numbers.names) == 1000
    with pytest.raises(
        ValueError, match=r"Classes\('label'\) was given an object of type dict, which has no hash"
    ):
        signal.read([{}])


@pytest.mark.parametrize("value", [np.ones((2, 2)), np.ones((2, 2, 2))])
def test_numbers_of_another_shape_are_refused(value):
    with pytest.raises(ValueError, match=r"Numbers\('x'\) was given shape \(2, .*pass of="):
        Numbers("x").read(value)


def test_vectors_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"Vectors\('x'\) was given shape \(1, 1, 1\)"):
        Vectors("x").read(np.ones((1, 1, 1)))


def test_a_loss_is_whether_they_differ_or_what_a_function_says():
    assert Losses().loss("cat", "cat") == 0.0
    assert Losses().loss(np.array([1, 2]), [1, 3]) == 1.0
    assert Losses("mae", lambda made, right: abs(made - right) / 10).loss(7, 2) == 0.5


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: Numbers(""), TypeError, "name must be a string, got ''"),
        (lambda: Numbers(3), TypeError, "name must be a string, got 3"),
        (lambda: Numbers("x", 3), TypeError, "of must be callable"),
        (lambda: Numbers("x", side="label"), ValueError, "side must be 'answer' or 'input', got 'label'"),
        (lambda: Numbers("x", memory=1), TypeError, "memory must be True or False"),
        (lambda: Losses(tolerated=0), ValueError, "tolerated must be above 0"),
        (lambda: Losses(tolerated=1.0), ValueError, "tolerated must be below 1, got 1.0"),
        (lambda: Vectors("x", names="age"), TypeError, "names must be a tuple, got 'age'; pass a tuple"),
        (lambda: Vectors("x", names=(1,)), TypeError, "names must be strings, got 1"),
    ],
)
def test_what_a_signal_cannot_be_is_refused(make, kind, text):
    with pytest.raises(kind) as caught:
        make()
    assert text in str(caught.value)
