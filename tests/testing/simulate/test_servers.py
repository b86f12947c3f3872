"""A simulated server queues, works, batches, starts cold and falls ill as its description says."""

import math
from dataclasses import replace

import pytest

from resilient_ml import Kind, Pipeline, Timeout, kind_of
from resilient_ml.testing.simulate import (
    Batching,
    Clients,
    ColdStart,
    Constant,
    Exponential,
    ModelServer,
    Outage,
    Poisson,
    Replicas,
    Restart,
    ServerBusy,
    ServerFailed,
    Slowdown,
    Steps,
    simulate,
)


def ask(server, *, rate=1.0, seconds=10.0, guard=None, **more):
    """What becomes of requests at even distances, the first of them at one distance from the start."""
    return simulate(Clients(Constant(rate), server, guard, **more), seconds=seconds)


def one_at(second):
    """A load of one request at that second."""
    return Constant(Steps((0, 0), (second - 0.5, 2), (second, 0)))


def ends(result):
    return result.requests.ended.tolist()


def kinds(result):
    return result.requests.kind.tolist()


# ---- the queue and the workers


def test_a_request_takes_as_long_as_the_service_says():
    result = ask(ModelServer(workers=1, service=0.25), seconds=4)
    assert ends(result) == [1.25, 2.25, 3.25]
    assert result.requests.status.tolist() == ["ok"] * 3


def test_a_queue_is_served_first_come_first_served_by_as_many_workers_as_there_are():
    server = ModelServer(workers=2, service=3.0)
    result = ask(server, seconds=6)
    assert ends(result) == [4.0, 5.0, 7.0, 8.0, 10.0]
    log = result.servers["model"]
    assert (log.waiting.max(), log.working.max(), log.busy.max()) == (1, 2, 2)
    assert log.busy_seconds[-1] == 15.0
    assert log.wasted_seconds[-1] == 0.0


def test_a_full_queue_refuses_the_next_as_overload():
    result = ask(ModelServer(workers=1, service=10.0, queue=1), seconds=5)
    assert kinds(result) == ["", "", "overload", "overload"]
    assert result.servers["model"].refused[-1] == 2
    assert result.requests.ended[2] == result.requests.arrived[2]


def test_a_queue_of_none_still_lets_a_free_worker_work():
    result = ask(ModelServer(workers=1, service=1.5, queue=0), seconds=5)
    assert kinds(result) == ["", "overload", "", "overload"]


def test_the_service_may_depend_on_the_arguments():
    server = ModelServer(workers=9, service=lambda rows, *, slow: rows * (2.0 if slow else 1.0))
    result = ask(server, seconds=4, args=lambda number: (number + 1,), kwargs={"slow": True})
    assert result.requests.seconds.tolist() == [2.0, 4.0, 6.0]


@pytest.mark.parametrize("seconds", [-1.0, math.inf, math.nan])
def test_a_service_that_says_no_length_of_time_ends_the_simulation(seconds):
    server = ModelServer(workers=1, service=lambda: seconds)
    with pytest.raises(ValueError, match="service of server 'model' said that a request takes"):
        ask(server, guard=Timeout(1.0))


def test_an_error_in_the_service_ends_the_simulation_and_is_no_failure_of_a_request():
    def service():
        raise ZeroDivisionError("a mistake in the scenario")

    with pytest.raises(ZeroDivisionError, match="a mistake in the scenario"):
        ask(ModelServer(workers=1, service=service), guard=Timeout(1.0))


def test_answers_are_made_from_the_arguments():
    seen = []

    async def client(row):
        seen.append(await server(row))

    server = ModelServer(workers=1, service=0.1, answer=lambda row: row * 10)
    simulate(Clients(Constant(1), client, args=lambda n: (n,)), seconds=4, servers=[server])
    assert seen == [0, 10, 20]


def test_an_error_in_the_answer_ends_the_simulation():
    with pytest.raises(ZeroDivisionError):
        ask(ModelServer(workers=1, service=0.1, answer=lambda: 1 / 0))


@pytest.mark.once
def test_a_share_of_the_requests_fails_after_the_work_is_done():
    result = ask(ModelServer(workers=1, service=0.001, failing=0.25), rate=100, seconds=100)
    # 9,999 draws: the standard error is 0.0043.
    assert result.requests.failed.mean() == pytest.approx(0.25, abs=4 * 0.0043)
    assert set(kinds(result)) == {"", "server"}
    assert result.requests.seconds == pytest.approx(0.001)
    log = result.servers["model"]
    assert log.answered[-1] + log.failed[-1] == log.arrived[-1] == len(result.requests)


def test_it_fails_with_the_error_that_it_is_given():
    result = ask(ModelServer(workers=1, service=0.1, failing=1.0, error=ConnectionResetError), seconds=3)
    assert kinds(result) == ["connection", "connection"]


def test_the_servers_own_errors_are_of_the_kinds_they_say():
    assert [kind_of(error) for error in (ServerFailed(), ServerBusy())] == [Kind.SERVER, Kind.OVERLOAD]


# ---- clients that give up


def test_work_for_a_client_that_has_given_up_goes_on_and_is_wasted():
    server = ModelServer(workers=1, service=3.0)
    hasty = Clients(Constant(Steps((0, 1), (2, 0))), server, Timeout(1.0), name="hasty")
    result = simulate(hasty, Clients(one_at(6.0), server, name="patient"), seconds=7)
    assert kinds(result) == ["timeout", "timeout", ""]
    assert ends(result) == [2.0, 3.0, 10.0]  # the second is worked on from 4 to 7, for nobody
    log = result.servers["model"]
    assert (log.wasted[-1], log.answered[-1]) == (2, 1)
    assert (log.wasted_seconds[-1], log.busy_seconds[-1]) == (6.0, 9.0)


def test_a_server_that_stops_abandoned_work_frees_the_worker_and_the_queue():
    server = ModelServer(workers=1, service=3.0, stops_abandoned=True)
    result = ask(server, seconds=6, guard=Timeout(1.5))
    log = result.servers["model"]
    # Each is worked on as soon as the one before has given up: none is ever finished, none is in the way.
    assert kinds(result) == ["timeout"] * 5
    assert log.wasted[-1] == 0
    assert log.waiting.max() == 1
    assert log.busy_seconds[-1] == log.wasted_seconds[-1]
    assert log.busy[-1] == log.waiting[-1] == 0


def test_of_a_batch_the_work_stops_only_when_everybody_has_given_up():
    server = ModelServer(
        workers=1, service=5.0, stops_abandoned=True, batching=Batching(size=2, wait=9.0), name="gpu"
    )
    patient = Clients(Constant(1), server, Timeout(30.0), name="patient")
    hasty = Clients(Constant(1), server, Timeout(1.0), name="hasty")
    result = simulate(patient, hasty, seconds=1.5)
    assert result.requests.of("patient").status.tolist() == ["ok"]
    assert result.requests.of("hasty").kind.tolist() == ["timeout"]
    assert result.requests.ended.max() == 6.0
    both = simulate(replace(patient, guard=Timeout(2.0)), hasty, seconds=1.5)
    assert both.requests.ended.tolist() == [3.0, 2.0]
    assert both.servers["gpu"].busy_seconds[-1] == 2.0


def test_who_gave_up_in_the_queue_is_passed_over_and_takes_no_place_in_it():
    server = ModelServer(workers=1, service=4.0, queue=1, stops_abandoned=True)
    first, last = (Clients(one_at(second), server, name=f"at {second}") for second in (1.0, 3.0))
    hasty = Clients(one_at(2.0), server, Timeout(0.5), name="hasty")
    result = simulate(first, hasty, last, seconds=4)
    assert ends(result) == [5.0, 2.5, 9.0]
    assert result.servers["model"].refused[-1] == 0


# ---- batches


def batched(size, wait, each=0.0, **more):
    return ModelServer(workers=1, service=1.0, batching=Batching(size=size, wait=wait, each=each), **more)


def test_a_full_batch_begins_at_once_and_costs_more_for_each_further_request():
    result = ask(batched(3, wait=60.0, each=0.25), seconds=7)
    assert ends(result) == [4.5] * 3 + [7.5] * 3


def test_a_batch_begins_when_its_first_has_waited_long_enough():
    result = ask(batched(10, wait=1.5), seconds=4)
    # 1 and 2 begin at 2.5 and end at 3.5; 3 waits until 4.5.
    assert ends(result) == [3.5, 3.5, 5.5]


def test_a_batch_that_has_waited_too_long_already_begins_when_a_worker_is_free():
    result = ask(batched(2, wait=0.0), rate=4.0, seconds=2)
    # The first begins alone at 0.25; those that have come by 1.25 follow two by two.
    assert ends(result) == [1.25, 2.25, 2.25, 3.25, 3.25, 4.25, 4.25]


def test_a_batch_takes_as_long_as_its_slowest_request():
    server = ModelServer(workers=1, service=lambda rows: rows, batching=Batching(size=3, wait=9.0))
    result = ask(server, seconds=4, args=lambda number: (float([1, 5, 2][number]),))
    assert ends(result) == [8.0] * 3


def test_waiting_in_a_batch_is_not_held_up_by_one_who_has_left():
    server = batched(2, wait=1.2, stops_abandoned=True)
    hasty = Clients(Constant(Steps((0, 1), (1, 0))), server, Timeout(0.5), name="hasty")
    patient = Clients(one_at(2.0), server, name="patient")
    result = simulate(hasty, patient, seconds=3)
    assert result.requests.ended.tolist() == [1.5, 2.0 + 1.2 + 1.0]


def test_a_batch_may_be_split_over_free_workers():
    server = ModelServer(workers=2, service=1.0, batching=Batching(size=2, wait=0.5))
    burst = Clients(Constant(Steps((0, 0), (1, 1000), (1.0045, 0))), server)
    result = simulate(burst, seconds=2)
    assert len(result.requests) == 4
    assert result.servers["model"].busy.max() == 2
    assert result.requests.ended.max() < 2.1


# ---- incidents


def test_in_an_outage_that_refuses_no_request_comes_in_and_those_inside_go_on():
    server = ModelServer(workers=9, service=1.5, incidents=[Outage(at=1.5, lasting=2.0)])
    result = ask(server, seconds=5)
    assert kinds(result) == ["", "connection", "connection", ""]
    assert ends(result) == [2.5, 2.0, 3.0, 5.5]
    assert result.servers["model"].refused[-1] == 2


def test_in_an_outage_with_errors_every_request_fails_at_once():
    server = ModelServer(workers=9, service=0.1, incidents=[Outage(at=1.5, lasting=2.0, how="errors")])
    result = ask(server, seconds=5)
    assert kinds(result) == ["", "server", "server", ""]
    assert result.servers["model"].failed[-1] == 2


def test_in_an_outage_that_hangs_nothing_is_answered_until_it_is_over():
    server = ModelServer(workers=1, service=0.75, incidents=[Outage(at=1.5, lasting=2.0, how="hangs")])
    result = ask(server, seconds=5)
    # 1 should be answered at 1.75, and is at 3.5; 2 and 3 begin then, one after the other; 4 after them.
    assert ends(result) == [3.5, 4.25, 5.0, 5.75]
    assert result.availability == 1.0


def test_outages_may_overlap():
    hangs = [Outage(at=0.5, lasting=2.0, how="hangs"), Outage(at=1.5, lasting=3.0, how="hangs")]
    assert ends(ask(ModelServer(workers=9, service=0.1, incidents=hangs), seconds=3)) == [4.6, 4.6]
    refuses = [Outage(at=0.5, lasting=2.0), Outage(at=1.5, lasting=3.0)]
    result = ask(ModelServer(workers=9, service=0.1, incidents=refuses), seconds=6)
    assert kinds(result) == ["connection"] * 4 + [""]


def test_a_slowdown_stretches_the_work_that_begins_in_it():
    slow = [Slowdown(at=1.5, lasting=2.0, factor=4.0), Slowdown(at=2.5, lasting=9.0, factor=0.5)]
    result = ask(ModelServer(workers=9, service=0.1, incidents=slow), seconds=5)
    assert result.requests.seconds == pytest.approx([0.1, 0.4, 0.2, 0.05])


def test_a_restart_loses_what_is_inside_and_what_waits():
    server = ModelServer(workers=1, service=2.0, incidents=[Restart(at=2.5)])
    result = ask(server, seconds=4)
    assert kinds(result) == ["connection", "connection", ""]
    assert ends(result) == [2.5, 2.5, 5.0]
    assert result.servers["model"].busy_seconds[-1] == 3.5


def test_a_restart_ends_a_hang_for_those_inside_with_a_broken_connection():
    server = ModelServer(
        workers=1, service=0.1, incidents=[Outage(at=0.5, lasting=4.0, how="hangs"), Restart(at=2.5)]
    )
    result = ask(server, seconds=4, guard=Timeout(1.2))
    assert kinds(result) == ["timeout", "connection", "timeout"]


def test_a_server_that_stops_abandoned_work_restarts_with_an_empty_queue():
    server = ModelServer(workers=1, service=9.0, stops_abandoned=True, incidents=[Restart(at=3.5)])
    hasty = Clients(Constant(Steps((0, 1), (2, 0))), server, Timeout(1.25), name="hasty")
    result = simulate(hasty, Clients(one_at(3.0), server, name="patient"), seconds=4)
    assert result.requests.kind.tolist() == ["timeout", "timeout", "connection"]
    assert result.servers["model"].waiting[-1] == 0


def test_after_a_restart_it_loads_and_then_warms_up():
    cold = ColdStart(loading=2.0, warming=4.0, factor=5.0)
    server = ModelServer(workers=9, service=0.1, cold_start=cold, incidents=[Restart(at=1.5)])
    result = ask(server, seconds=9)
    assert kinds(result) == ["", "connection", "connection", "", "", "", "", ""]
    # Warm again at 7.5; at 4 an eighth of the way is behind it.
    assert result.requests.seconds[3:] == pytest.approx([0.45, 0.35, 0.25, 0.15, 0.1])


def test_a_restart_while_it_loads_begins_the_loading_anew():
    cold = ColdStart(loading=2.0)
    server = ModelServer(workers=9, service=0.1, cold_start=cold, incidents=[Restart(1.5), Restart(3.25)])
    assert kinds(ask(server, seconds=7)) == ["", *["connection"] * 4, ""]


def test_it_may_be_cold_at_the_start():
    server = ModelServer(workers=9, service=0.1, cold_start=ColdStart(loading=2.5, at_start=True))
    assert kinds(ask(server, seconds=4)) == ["connection", "connection", ""]
    assert kinds(ask(replace(server, cold_start=ColdStart(loading=2.5)), seconds=3)) == ["", ""]


# ---- replicas


def asked(result):
    return [log.arrived[-1] for log in result.servers.values()]


def test_replicas_take_turns():
    result = ask(Replicas.of(ModelServer(workers=1, service=0.1), 3), seconds=8)
    assert asked(result) == [3, 2, 2]
    assert list(result.servers) == ["model 1", "model 2", "model 3"]


def test_replicas_are_chosen_at_random():
    result = ask(Replicas.of(ModelServer(workers=1, service=0.0001), 4, "random"), rate=1000, seconds=8.0005)
    # 8,000 draws: the standard error of a count is 39.
    assert sum(asked(result)) == 8000
    assert asked(result) == pytest.approx([2000] * 4, abs=4 * 39)


def test_the_replica_with_the_fewest_requests_inside_is_chosen():
    fast, slow = (
        ModelServer(workers=1, service=seconds, name=name) for seconds, name in [(0.5, "fast"), (3.5, "slow")]
    )
    result = ask(Replicas([slow, fast], "shortest_queue"), seconds=8)
    # Slow is the first of two that are idle; it has the requests of 1 and 5.
    assert asked(result) == [2, 5]


def test_the_turns_of_replicas_begin_anew_in_each_simulation():
    group = Replicas.of(ModelServer(workers=1, service=0.1), 2)
    assert asked(ask(group, seconds=4)) == asked(ask(group, seconds=4)) == [2, 1]


# ---- descriptions


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: ModelServer(workers=0, service=1.0), ValueError, "workers must be at least 1, got 0"),
        (lambda: ModelServer(workers=1, service="x"), TypeError, "service must be a number, got 'x'"),
        (lambda: ModelServer(workers=1, service=1, queue=-1), ValueError, "queue must be at least 0, got -1"),
        (
            lambda: ModelServer(workers=1, service=1, queue=3, batching=Batching(4, 0.0)),
            ValueError,
            "queue must hold a batch, got queue=3 for batches of 4; make it longer, or the batches smaller",
        ),
        (
            lambda: ModelServer(workers=1, service=1, failing=2),
            ValueError,
            "failing must be from 0 to 1, got 2",
        ),
        (
            lambda: ModelServer(workers=1, service=1, stops_abandoned=1),
            TypeError,
            "stops_abandoned must be True or False, got 1",
        ),
        (lambda: ModelServer(workers=1, service=1, error=3), TypeError, "error must be callable, got 3"),
        (lambda: ModelServer(workers=1, service=1, answer=3), TypeError, "answer must be callable, got 3"),
        (
            lambda: ModelServer(workers=1, service=1, incidents=[3]),
            TypeError,
            "incidents must be Outage, Slowdown or Restart, got 3; write Outage(at=60, lasting=10), say",
        ),
        (lambda: Batching(0, 0.1), ValueError, "size must be at least 1, got 0"),
        (lambda: Batching(1, -0.1), ValueError, "wait must not be negative, got -0.1"),
        (lambda: Batching(1, 0.1, each=-1), ValueError, "each must not be negative, got -1"),
        (lambda: Outage(-1, 1), ValueError, "at must not be negative, got -1"),
        (lambda: Outage(1, 0), ValueError, "lasting must be above 0, got 0"),
        (
            lambda: Outage(1, 1, "explodes"),
            ValueError,
            "how must be one of 'refused', 'errors', 'hangs', got 'explodes'; choose what becomes of",
        ),
        (lambda: Slowdown(1, 1, 0), ValueError, "factor must be above 0, got 0"),
        (lambda: Restart(-1), ValueError, "at must not be negative, got -1"),
        (lambda: ColdStart(loading=-1), ValueError, "loading must not be negative, got -1"),
        (lambda: ColdStart(warming=-1), ValueError, "warming must not be negative, got -1"),
        (lambda: ColdStart(factor=0.5), ValueError, "factor must be at least 1, got 0.5"),
        (lambda: ColdStart(at_start=1), TypeError, "at_start must be True or False, got 1"),
        (lambda: Replicas([]), TypeError, "servers must be one ModelServer or more"),
        (lambda: Replicas([3]), TypeError, "servers must be one ModelServer or more"),
        (
            lambda: Replicas([ModelServer(workers=1, service=1)], "best"),
            ValueError,
            "choose must be one of 'round_robin', 'random', 'shortest_queue', got 'best'",
        ),
        (lambda: Replicas.of(ModelServer(workers=1, service=1), 0), ValueError, "count must be at least 1"),
    ],
)
def test_impossible_servers_are_refused(make, error, says):
    with pytest.raises(error) as raised:
        make()
    assert str(raised.value).startswith(says)


def test_a_server_is_called_by_its_name():
    server = ModelServer(workers=1, service=1.0, name="embedder")
    assert server.__name__ == "embedder"
    late = simulate(Clients(Constant(1), server, deadline=0.5, guard=Pipeline()), seconds=1.5)
    assert late.requests.kind.tolist() == ["deadline"]


def test_a_server_answers_only_inside_a_simulation():
    with pytest.raises(
        RuntimeError, match="a simulated server answers, and simulated time passes, only inside"
    ):
        ModelServer(workers=1, service=Exponential(1.0))().send(None)


def test_random_lengths_of_work_do_not_depend_on_who_asks():
    def lengths(load, name):
        server = ModelServer(workers=50, service=Exponential(0.1))
        return simulate(Clients(load, server, name=name), seconds=5).requests.seconds[:10].tolist()

    assert lengths(Constant(10), "a") == pytest.approx(lengths(Constant(20), "b"))
    assert lengths(Poisson(10), "a") == pytest.approx(lengths(Constant(10), "b"))
