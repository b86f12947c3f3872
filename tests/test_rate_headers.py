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
