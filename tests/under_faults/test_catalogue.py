"""The catalogue is whole: every fault once, every test and every factory there, and none left out."""

import ast
import functools
import pathlib
from dataclasses import dataclass

import pytest

from resilient_ml.testing.faults import CATALOGUE

from .catalogue import TABLE

HERE = pathlib.Path(__file__).parent


@dataclass(frozen=True)
class Row:
    """One fault.

    Attributes:
        number: Its number; 0 for one that is not among the 72.
        fault: What goes wrong.
        factories: The faults of ``faults.CATALOGUE`` that bring it about.
        means: What else does.
        tests: Where the library's answer is seen, each a file and a test.
        open: What is not yet, or not here.
    """

    number: int
    fault: str
    factories: tuple[str, ...]
    means: str
    tests: tuple[tuple[str, str], ...]
    open: str


def row(lines):
    """The row of these lines."""
    number, fault = lines[0].split(" ", 1)
    by, means, missing, tests = "", "", "", []
    for line in lines[1:]:
        if line.startswith("by means of "):
            means = line.removeprefix("by means of ")
        elif line.startswith("by "):
            by = line.removeprefix("by ")
        elif line.startswith(("not yet: ", "not here: ")):
            missing = line
        else:
            tests.append(tuple(line.split(": ")))
    factories = tuple(by.split(", ")) if by else ()
    return Row(0 if number == "+" else int(number), fault, factories, means, tuple(tests), missing)


def rows(table):
    """The rows of a table: a line that is not indented begins one."""
    found = []
    for line in table.strip().splitlines():
        if line.startswith(" "):
            found[-1].append(line.strip())
        else:
            found.append([line])
    return tuple(map(row, found))


ROWS = rows(TABLE)


@functools.cache
def look_into(path):
    """The tests in a file, and its text."""
    text = path.read_text(encoding="utf-8")
    functions = [node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    return {name for name in functions if name.startswith("test_")}, text


def placed(file, test):
    """The path of a file of the table, and the whole name of a test."""
    path = HERE / file
    return (path.parent / f"test_{path.name}.py").resolve(), f"test_{test}"


def test_the_rows_are_1_to_72_each_once_and_then_what_comes_besides():
    assert [row.number for row in ROWS if row.number] == list(range(1, 73))
    assert len({row.fault for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.number} {row.fault}")
def test_a_row_names_tests_that_are_there_and_strike_with_what_it_says(row):
    assert row.tests
    assert row.factories or row.means
    texts = []
    for file, test in row.tests:
        path, name = placed(file, test)
        names, text = look_into(path)
        assert name in names
        texts.append(text)
    for factory in row.factories:
        assert factory in CATALOGUE
        assert any(f'"{factory}"' in text or f"faults.{factory}(" in text for text in texts), factory


@pytest.mark.parametrize("name", list(CATALOGUE))
def test_a_fault_that_can_be_injected_is_in_a_row(name):
    assert any(name in row.factories for row in ROWS)


def test_every_test_of_this_folder_is_in_a_row():
    told = {placed(file, test) for row in ROWS for file, test in row.tests}
    there = {
        (path.resolve(), name)
        for path in HERE.glob("test_*.py")
        if path.name != "test_catalogue.py"
        for name in look_into(path)[0]
    }
    assert sorted(f"{path.name}: {name}" for path, name in there - told) == []
