"""Requests come in whatever form the user has them, as many as are asked for."""

import pytest

from resilient_ml.evaluate import Request, request_of
from resilient_ml.evaluate.requests import Source


@pytest.mark.parametrize(
    ("item", "args", "label"),
    [
        ("text", ("text",), None),
        ([1, 2], ([1, 2],), None),
        ((1, 2), (1, 2), None),
        (((1, 2), 3), (1, 2), 3),
        (((1, 2), 3, 4), ((1, 2), 3, 4), None),
        ((("text",), "positive"), ("text",), "positive"),
    ],
)
def test_an_item_is_an_argument_or_arguments_or_arguments_with_a_label(item, args, label):
    assert request_of(item) == Request(args, label=label)


def test_a_request_is_taken_as_it_is():
    request = Request(("a",), {"k": 1}, label=2, group="acme")
    assert request_of(request) is request


def test_an_iterable_starts_again_when_it_ends():
    assert [one.args[0] for one in Source(["a", "b", "c"]).take(7)] == list("abcabca")


def test_an_iterator_gives_the_same_requests_each_time_and_is_not_read_farther_than_needed():
    read = []

    def endless():
        for number in range(1000):
            read.append(number)
            yield number

    source = Source(endless())
    assert source.take(3) == source.take(5)[:3]
    assert read == [0, 1, 2, 3, 4]


def test_a_function_of_a_number_is_asked_for_each():
    assert [one.args[0] for one in Source(lambda number: number * 10).take(3)] == [0, 10, 20]


def test_a_function_without_parameters_returns_an_iterable():
    assert [one.args[0] for one in Source(lambda: iter("ab")).take(3)] == ["a", "b", "a"]


def test_a_callable_that_can_be_iterated_is_an_iterable():
    class Samples(list):
        def __call__(self, number):
            raise AssertionError

    assert Source(Samples("ab")).take(1)[0].args == ("a",)


@pytest.mark.parametrize("given", [7, "text", b"bytes", None, lambda: 7])
def test_what_is_no_iterable_is_refused_with_the_remedy(given):
    with pytest.raises(TypeError, match=r"requests must be an iterable or a function, got .*; pass a list"):
        Source(given)


def test_nothing_to_ask_for_is_refused():
    with pytest.raises(ValueError, match="at least one request, got none"):
        Source([]).take(1)
    assert Source([]).take(0) == ()
