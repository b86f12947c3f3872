"""Progress: a bar on terminals that can, lines on those that cannot, nothing for nobody."""

import io
import re
import sys

import pytest

from resilient_ml.evaluate import progress
from resilient_ml.evaluate.progress import progress_of

from .made import reply


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    """Real time, as the test says it."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(progress, "_now", made)
    return made


def go(shown, clock):
    shown.begin("naked")
    for status in ("ok", "ok", "failed"):
        shown.settled(reply(status=status))
    clock.now += 10.0
    shown.settled(reply())
    shown.begin("guarded")
    shown.settled(reply())


def test_lines_now_and_then(clock):
    stream = io.StringIO()
    with progress_of(True, 8, stream) as shown:
        go(shown, clock)
    assert stream.getvalue() == " 50%  naked: 1 failed  3 ok\n"


def test_nothing_where_nobody_watches(clock):
    stream = io.StringIO()
    with progress_of(None, 8, stream) as shown:
        go(shown, clock)
        shown.show()
    assert stream.getvalue() == ""


def test_nothing_where_it_is_not_wanted(clock):
    stream = Terminal()
    with progress_of(False, 8, stream) as shown:
        go(shown, clock)
    assert stream.getvalue() == ""


def test_a_bar_on_a_terminal(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    with progress_of(None, 8, stream) as shown:
        go(shown, clock)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())
    assert "50% naked: 1 failed  3 ok" in plain
    assert "62% guarded: 1 ok" in plain


def test_lines_on_a_terminal_without_rich(clock, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    stream = Terminal()
    with progress_of(None, 8, stream) as shown:
        go(shown, clock)
    assert stream.getvalue() == " 50%  naked: 1 failed  3 ok\n"


def test_standard_error_is_where_it_goes(clock, capsys):
    with progress_of(True, 8) as shown:
        go(shown, clock)
    assert capsys.readouterr().err == " 50%  naked: 1 failed  3 ok\n"


def test_what_fails_meanwhile_has_nothing_to_do_with_rich(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with pytest.raises(ValueError, match="mine") as caught, progress_of(True, 8, Terminal()):
        raise ValueError("mine")
    assert caught.value.__context__ is None
