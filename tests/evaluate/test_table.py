"""The table: each KPI a row, each configuration a column, and what is missed is said."""

import io
import re
import sys

import pytest

from resilient_ml.evaluate import table

from .made import sell, shop_evaluation, shop_guard


@pytest.fixture(scope="module")
def evaluation():
    return shop_evaluation()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_table_has_a_row_for_each_kpi_and_a_column_for_each_configuration(evaluation):
    lines = str(evaluation).splitlines()
    assert lines[0] == "sell: 100 requests, the same in each configuration (virtual time, seed 7)"
    assert lines[1] == "arrivals in even steps, 10 a second for 10 s, at most 64 in flight"
    assert lines[2] == "fault: error(ConnectionError), from 4 s to 6 s"
    assert lines[4].split() == ["naked", "guarded", "change", "p"]
    (availability,) = [line for line in lines if line.startswith("availability")]
    assert re.match(r"availability +80 % \(.* to .*\) +100 % \(.* to 100\) +\+20 points +1\.00", availability)
    assert lines[-2].startswith("met     guarded.availability == 100%: guarded has availability 100 %")
    assert lines[-1].startswith("MISSED  guarded.wrong <= 1%: guarded has wrong 25 %")
    assert max(map(len, lines)) <= 110


def test_no_line_ends_in_blanks(evaluation):
    assert all(line == line.rstrip() for line in str(evaluation).splitlines())


def test_what_is_compared_of_three_is_named():
    from resilient_ml.evaluate import Workload, evaluate

    three = evaluate(
        sell,
        {"naked": None, "guarded": shop_guard, "twin": shop_guard},
        workload=Workload.constant([1, 2], rate=10.0, count=20),
        virtual=True,
    )
    assert table.header(three) == (
        "",
        "naked",
        "guarded",
        "twin",
        "change of guarded",
        "p",
        "change of twin",
        "p",
    )
    assert "fault:" not in str(three)


def test_one_configuration_is_compared_with_nothing():
    from resilient_ml.evaluate import Workload, evaluate

    alone = evaluate(
        sell, {"naked": None}, workload=Workload.constant([1], rate=10.0, count=20), virtual=True
    )
    assert table.header(alone) == ("", "naked")
    assert "Change:" not in str(alone)


def test_a_stream_that_is_no_terminal_gets_plain_text(evaluation):
    stream = io.StringIO()
    table.show(evaluation, stream)
    assert stream.getvalue() == f"{evaluation}\n"


def test_standard_output_is_where_it_goes(evaluation, capsys):
    table.show(evaluation)
    assert capsys.readouterr().out == f"{evaluation}\n"


def test_a_terminal_gets_colours(evaluation, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    table.show(evaluation, stream)
    text = stream.getvalue()
    assert "\x1b[32m" in text
    assert "MISSED" in text
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert "+20 points" in plain
    assert "met    guarded.availability == 100%" in plain


def test_a_terminal_without_rich_gets_plain_text(evaluation, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    table.show(evaluation, stream)
    assert stream.getvalue() == f"{evaluation}\n"


def test_only_what_is_more_than_luck_is_better_or_worse(evaluation):
    by_name = {row.cells[0]: row.better for row in table.rows(evaluation)}
    assert by_name["availability"] == (None, None, None, None, None) or by_name["availability"][3] is True
    assert by_name["p50"][3] is None
    assert by_name["leaks"][3] is None


@pytest.mark.parametrize("rich", [True, False])
def test_a_narrow_terminal_gets_a_list_that_fits(evaluation, monkeypatch, rich):
    if not rich:
        monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setenv("COLUMNS", "44")
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    table.show(evaluation, stream)
    lines = [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).splitlines()]
    at = lines.index("availability")
    assert lines[at + 1].startswith("  naked    80 % (")
    assert lines[at + 2].startswith("  guarded  100 % (")
    assert re.fullmatch(r" {11}\+20 points, p \d\.\d\d", lines[at + 3])
    at = lines.index("leaks")
    assert lines[at + 1 : at + 4] == ["  naked    0", "  guarded  0", " " * 11 + "same"]
    legend = lines[lines.index("overhead") :]
    assert max(map(len, (line for line in legend if "objective" not in line and ":" not in line))) <= 44


def test_what_fails_without_faults_is_said_first():
    from resilient_ml.evaluate import Workload, evaluate

    def two(first, second):
        return first

    refused = evaluate(two, workload=Workload.constant([1], rate=10.0, count=20), virtual=True)
    assert refused.notes == tuple(
        f"without faults, {name} failed 20 of 20 requests: 20 TypeError" for name in ("naked", "guarded")
    )
    assert "note: without faults, naked failed 20 of 20" in str(refused).splitlines()[2]
    assert refused.to_dict()["notes"] == list(refused.notes)
    assert "without faults, naked failed" in refused.to_html()


def test_nothing_is_noted_of_a_model_that_answers(evaluation):
    assert evaluation.notes == ()
    assert "note:" not in str(evaluation)


def test_nothing_is_noted_where_nothing_ran_without_faults():
    assert shop_evaluation(healthy=False).notes == ()
