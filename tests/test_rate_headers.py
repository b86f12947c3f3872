"""What headers say of rate limits: every spelling, and nothing where they are garbage."""

import pytest

from resilient_ml.rate_headers import Allowance, allowances_of


class Carries:
    def __init__(self, **attributes):
        self.__dict__.update(attributes)


class Hostile:
    def items(self):
        raise KeyError


X = {"X-RateLimit-Limit-Requests": "600", "x-ratelimit-remaining-tokens": b"12"}
TOLD = {"requests": Allowance(limit=600), "tokens": Allowance(remaining=12)}


@pytest.mark.parametrize(
    "source",
    [
        Carries(headers=X),
        Carries(headers=list(X.items())),
        Carries(response=Carries(headers=X)),
        {"_response_headers": X},
        Carries(headers={"server": "nginx"}, response={"headers": X}),
        Carries(__cause__=Carries(headers=X)),
    ],
)
def test_headers_are_found_wherever_clients_keep_them(source):
    assert allowances_of(source) == TOLD


def test_anthropics_spelling_is_known():
    headers = {"anthropic-ratelimit-tokens-remaining": "5", "anthropic-ratelimit-tokens-limit": "9"}
    assert allowances_of(Carries(headers=headers)) == {"tokens": Allowance(limit=9, remaining=5)}


@pytest.mark.parametrize(
    "headers", [None, 5, Hostile(), {"x-ratelimit-limit-requests": "-1"}, {"x-ratelimit-limit-requests": "²"}]
)
def test_garbage_says_nothing(headers):
    assert allowances_of(Carries(headers=headers)) == {}


def test_a_cycle_of_causes_ends():
    error = Carries()
    error.__cause__ = error
    assert allowances_of(error) == {}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("20ms", 0.02),
        ("6m0s", 360),
        ("1h2m3.5s", 3723.5),
        ("2m", 120),
        ("1.5s20ms", 1.52),
        ("1970-01-01T00:01:40Z", 40),
        ("1970-01-01T01:01:40+01:00", 40),
        ("1969-12-31T23:59:59Z", 0),
    ],
)
def test_a_reset_is_a_span_or_an_instant(text, seconds):
    told = allowances_of(Carries(headers={"x-ratelimit-reset-tokens": text}), wall=60.0)["tokens"]
    assert told == Allowance(reset=pytest.approx(seconds))
    assert allowances_of(Carries(headers={"anthropic-ratelimit-tokens-reset": text}), 60.0) == {
        "tokens": told
    }


@pytest.mark.parametrize("text", ["", "60", "1700000000", "-1s", "soon", "1s1h", "1970-01-01T00:01:40", "٣s"])
def test_a_reset_without_units_says_nothing(text):
    assert allowances_of(Carries(headers={"x-ratelimit-reset-tokens": text})) == {}
