"""The documents tell the truth: their code runs, their output is what is printed, their links lead somewhere.

The Python blocks of a page share one namespace, from top to bottom, as a reader would type them.
A ``text`` block right after a Python block is what that block prints.
A Python block with a title is that file, or is added to it if the page has given it before.
A ``console`` block is a command and what it prints; ``...`` stands for what differs from run to run.
"""

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from types import ModuleType

import pytest

import resilient_ml
from resilient_ml import evaluate, testing
from resilient_ml.testing import faults

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*).*\n((?:.*\n)*?)^```$", re.MULTILINE)
TITLE = re.compile(r'title="([^"]+)"')
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@dataclass(frozen=True, slots=True)
class Block:
    """One block to run: its code, the line it starts on, and what it prints, where the page says so."""

    code: str
    line: int
    output: str | None
    file: str | None = None


def blocks(text: str, language: str = "python") -> Iterator[Block]:
    """The blocks of a page in *language*, each with the output block that directly follows it."""
    fences = list(FENCE.finditer(text))
    for fence, following in itertools.zip_longest(fences, fences[1:]):
        if fence[1] != language:
            continue
        output = None
        if following and following[1] == "text" and not text[fence.end() : following.start()].strip():
            output = following[2]
        title = TITLE.search(fence[0].partition("\n")[0])
        yield Block(fence[2], text.count("\n", 0, fence.start(2)), output, title and title[1])


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_code_of_a_page_runs_and_prints_what_the_page_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    module = ModuleType(f"page_{page.stem}")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # dataclasses look their module up
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.file is not None:
            continue
        # Empty lines in front make tracebacks point at the page's own lines.
        code = compile("\n" * block.line + block.code, str(page), "exec", dont_inherit=True)
        printed = StringIO()
        with redirect_stdout(printed):
            exec(code, vars(module))
        if block.output is not None:
            assert printed.getvalue() == block.output, f"{name(page)}:{block.line + 1} prints something else"


@pytest.mark.parametrize("page", [page for page in PAGES if "title=" in page.read_text("utf-8")], ids=name)
def test_the_files_of_a_page_do_what_its_commands_print(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    files = [block for block in blocks(text) if block.file is not None]
    commands = list(blocks(text, "console"))
    assert files and commands
    for block in sorted([*files, *commands], key=lambda block: block.line):
        if block.file is not None:
            with (tmp_path / block.file).open("a", encoding="utf-8") as file:
                file.write(block.code)
            continue
        command, _, shown = block.code.partition("\n")
        assert command.startswith("$ python -m ")
        ran = subprocess.run(
            [sys.executable, *command.split()[2:]],
            cwd=tmp_path,
            env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        printed = ran.stdout + ran.stderr
        # Each line of the page is printed, in this order.
        lines = iter(printed.splitlines())
        for wanted in filter(None, shown.splitlines()):
            pattern = ".*".join(map(re.escape, wanted.split("...")))
            assert any(re.fullmatch(pattern, line.rstrip()) for line in lines), (
                f"{name(page)}:{block.line + 1}: {wanted!r} is not in\n{printed}"
            )


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_relative_links_of_a_page_lead_to_files(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{name(page)} links to {target}, which does not exist"


def test_the_reference_names_every_public_name() -> None:
    reference = "".join(
        page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "reference").glob("*.md")
    )
    described = set(re.findall(r"^::: resilient_ml\.(\w+)$", reference, re.MULTILINE))
    assert set(resilient_ml.__all__) <= described


@pytest.mark.parametrize("package", [testing, faults, evaluate], ids=lambda package: package.__name__)
def test_the_reference_names_every_public_name_of_what_proves(package: ModuleType) -> None:
    reference = "".join(
        page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "reference").glob("*.md")
    )
    path = re.escape(package.__name__)
    # A function may be in a module of its own name.
    described = set(re.findall(rf"^::: {path}\.(?:\w+\.)?(\w+)$", reference, re.MULTILINE))
    assert set(package.__all__) <= described


def test_the_readme_opens_with_code_that_runs_and_has_its_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first_screen = "\n".join(text.splitlines()[:50])
    assert next(blocks(first_screen)).line < 40
    commands = [line for line in text.splitlines() if line.startswith("python3 -m venv ")]
    assert [line.rpartition("/python ")[2] for line in commands] == [
        "examples/quickstart.py",
        "-m pytest -n auto",
    ]
