"""Whatever breaks, and wherever: a reader has the whole answer, or an error and a true beginning of it."""

from dataclasses import dataclass

import anyio
from hypothesis import given
from hypothesis import strategies as st

from resilient_ml import ConstantBackoff, Pipeline, Reset, Retry, Stream

ANSWER = "The cat sat on the mat and purred"
END = "<end>"
QUIET = ("<role>", "<beat>")
MODES = ("raise", "restart", "skip_prefix", "continue")


class Broken(ConnectionError):
    pass


@dataclass(frozen=True)
class Attempt:
    """One attempt of a model that always says the same, in chunks of its own, as far as it comes."""

    sizes: tuple[int, ...]
    quiet: tuple[int, ...]
    breaks_after: int | None
    how: str

    def chunks(self, prefix: str):
        """What it says after *prefix*, with quiet chunks in between, and how it ends."""
        text = ANSWER[len(prefix) :]
        made, at, turn = [], 0, 0
        while at < len(text):
            size = self.sizes[turn % len(self.sizes)]
            made.append(text[at : at + size])
            at, turn = at + size, turn + 1
        made.append(END)
        for place in self.quiet:
            made.insert(min(place, len(made)), QUIET[place % 2])
        for number, chunk in enumerate(made):
            if number == self.breaks_after:
                if self.how == "error":
                    raise Broken
                if self.how == "told":
                    yield "!"
                return
            yield chunk

    @property
    def ends_well(self):
        return self.breaks_after is None


ATTEMPTS = st.builds(
    Attempt,
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple),
    quiet=st.lists(st.integers(0, 12), max_size=3).map(tuple),
    breaks_after=st.none() | st.integers(0, 8),
    how=st.sampled_from(["error", "silent", "told"]),
)


def is_content(chunk):
    return chunk not in (*QUIET, END)


def rules(mode, commit_after):
    return Stream(
        is_content=is_content,
        is_final=lambda chunk: chunk == END,
        error_of=lambda chunk: Broken() if chunk == "!" else None,
        on_interrupt=mode,
        continuation=None if mode != "continue" else go_on,
        commit_after=commit_after,
    )


def go_on(args, kwargs, partial):
    return ("".join(filter(is_content, partial)),), kwargs


def check(mode, script, begun, seen, error):
    """What must hold of what was *seen*, after so many attempts were *begun*."""
    resets = [place for place, chunk in enumerate(seen) if isinstance(chunk, Reset)]
    assert mode == "restart" or not resets
    valid = seen[resets[-1] + 1 :] if resets else seen
    text = "".join(filter(is_content, valid))
    whole = text == ANSWER and END in valid
    assert "!" not in valid
    assert ANSWER.startswith(text)
    assert (error is None) == whole, (error, seen)
    assert begun <= len(script)
    for place in resets:
        before = [chunk for chunk in seen[:place] if not isinstance(chunk, Reset)]
        assert seen[place].discarded <= len(before)
    if mode != "raise":  # every attempt that was left was made, unless one ended well
        assert whole or begun == len(script)


@given(st.sampled_from(MODES), st.lists(ATTEMPTS, min_size=1, max_size=4), st.integers(1, 4))
def test_a_plain_stream_is_whole_or_a_true_beginning(mode, script, commit_after):
    begun = []

    @Pipeline(rules(mode, commit_after), Retry(len(script), backoff=ConstantBackoff(0), budget=None))
    def model(prefix=""):
        begun.append(prefix)
        yield from script[len(begun) - 1].chunks(prefix)

    seen, error = [], None
    try:
        for chunk in model():
            seen.append(chunk)  # noqa: PERF402 - what came before an error counts
    except Exception as raised:  # noqa: BLE001
        error = raised
    check(mode, script, len(begun), seen, error)


@given(st.sampled_from(MODES), st.lists(ATTEMPTS, min_size=1, max_size=4), st.integers(1, 4))
def test_an_async_stream_is_whole_or_a_true_beginning(mode, script, commit_after):
    begun = []

    @Pipeline(rules(mode, commit_after), Retry(len(script), backoff=ConstantBackoff(0), budget=None))
    async def model(prefix=""):
        begun.append(prefix)
        for chunk in script[len(begun) - 1].chunks(prefix):
            yield chunk

    async def read():
        seen, error = [], None
        try:
            async for chunk in model():
                seen.append(chunk)  # noqa: PERF401
        except Exception as raised:  # noqa: BLE001
            error = raised
        return seen, error

    check(mode, script, *_counted(begun, anyio.run(read)))


def _counted(begun, read):
    return len(begun), *read
