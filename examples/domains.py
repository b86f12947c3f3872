"""Sentences that people rated from very negative to very positive, in four domains: real drift to meet.

They come with the sources of vaderSentiment, 2.4 MB to download once, by pip::

    python -m pip download --no-deps --no-binary :all: vaderSentiment==3.3.2

Source: C. J. Hutto, E. Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social
Media Text", ICWSM 2014; 4,200 tweets, 3,708 sentences of product reviews, 10,605 of film reviews and 5,190 of
editorials.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

ARCHIVE = "vaderSentiment-3.3.2.tar.gz"
FILES = {
    "tweets": "tweets_GroundTruth.txt",
    "products": "amazonReviewSnippets_GroundTruth.txt",
    "films": "movieReviewSnippets_GroundTruth.txt",
    "editorials": "nytEditorialSnippets_GroundTruth.txt",
}


class TextsMissing(RuntimeError):
    """The archive is not there, and could not be downloaded."""


@dataclass(frozen=True)
class Sentence:
    """A sentence and whether people found it positive."""

    text: str
    positive: bool


def load(archive: Path | None = None) -> dict[str, list[Sentence]]:
    """The sentences of each domain; the archive is at *archive*, in this folder, or in the package index.

    Raises:
        TextsMissing: There is none.
    """
    if archive is not None:
        return read(archive)
    here = Path(ARCHIVE)
    if here.exists():
        return read(here)
    with tempfile.TemporaryDirectory() as folder:
        asked = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:"]
        done = subprocess.run(  # noqa: S603 - of nothing but constants
            [*asked, "vaderSentiment==3.3.2", "-d", folder], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise TextsMissing(f"the texts could not be downloaded; put {ARCHIVE} here, see {__file__}")
        return read(Path(folder) / ARCHIVE)


def read(archive: Path) -> dict[str, list[Sentence]]:
    """What is in *archive*: another archive, with the texts."""
    with tarfile.open(archive) as outer:
        inner = _bytes(outer, "hutto_ICWSM_2014.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(inner)) as texts:
        return {name: _sentences(_bytes(texts, file)) for name, file in FILES.items()}


def _bytes(archive: tarfile.TarFile, end: str) -> bytes:
    for member in archive.getmembers():
        if member.name.endswith(end):
            file = archive.extractfile(member)
            if file is not None:
                return file.read()
    raise TextsMissing(f"there is no {end} in the archive")


def _sentences(raw: bytes) -> list[Sentence]:
    """One a line: its number, its mean rating, its text. Ratings of about 0 say nothing, and are left out."""
    found: list[Sentence] = []
    for line in raw.decode("latin-1").splitlines():
        parts = line.split("\t", 2)
        if len(parts) == 3 and abs(float(parts[1])) > 0.1:
            found.append(Sentence(parts[2], float(parts[1]) > 0))
    return found
