"""A sentiment classifier on a real language model meets other texts than it was trained on.

Run it from anywhere; it takes about a minute, and writes drift_llm.png. The model and the texts come from
packages: ``minilm`` and ``domains``, beside this file, say how to get them, and so does this, where they are
not there::

    OPENBLAS_NUM_THREADS=1 python examples/drift_llm.py [--seed 7] [--out drift_llm.png] [--texts ARCHIVE]

It is trained on tweets, and tweets come; then editorials, product reviews and film reviews, with tweets in
between. Nobody tells it. A DriftDetector watches the embeddings, and while they have drifted a Fallback has
another classifier answer, an older one that was trained on a few sentences of everything: less right on
tweets, more right elsewhere. A second detector, beside the classifier alone, watches how sure it is, and
estimates from that how often it is right, without a label.

Read it from the top: the classifier, the guard, the traffic, and what came of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from domains import Sentence, TextsMissing, load
from minilm import MiniLM, ModelMissing

from resilient_ml import DriftDetector, Fallback, Pipeline
from resilient_ml.drift import AccuracyEstimate, Change, Numbers, Vectors

TRAINED, LABELLED, REFERENCE = 1500, 500, 700
"""Tweets to train on, to calibrate the estimate of accuracy with, and to be the reference of the detector."""
VISIT, BETWEEN = 300, 600
"""Rows of another domain, and of tweets after it."""
FEW = 300
"""Sentences of each domain that the older classifier was trained on."""
ARL = 20_000
"""Rows between two false alarms, at the least."""
REARM = 200
"""Rows without an alarm after which a drift is over."""

Floats = npt.NDArray[np.float64]


# 1. The classifier: logistic regression on embeddings.


@dataclass
class Classifier:
    """Whether a sentence is positive, and how sure it is."""

    weights: Floats

    @classmethod
    def trained(cls, rows: Floats, labels: Floats, steps: int = 12, ridge: float = 1.0) -> Classifier:
        """By Newton's method."""
        wide = np.column_stack([rows, np.ones(len(rows))])
        weights = np.zeros(wide.shape[1])
        for _ in range(steps):
            likely = 1.0 / (1.0 + np.exp(-wide @ weights))
            slope = wide.T @ (likely - labels) + ridge * weights
            bend = (wide * (likely * (1.0 - likely))[:, None]).T @ wide + ridge * np.eye(len(weights))
            weights -= np.linalg.solve(bend, slope)
        return cls(weights)

    def __call__(self, row: Floats) -> dict[str, Any]:
        """The answer for one embedding."""
        likely = float(1.0 / (1.0 + np.exp(-(row @ self.weights[:-1] + self.weights[-1]))))
        return {"positive": likely > 0.5, "confidence": max(likely, 1.0 - likely)}


# 2. The traffic: tweets, and visits to other domains.


@dataclass(frozen=True)
class Request:
    """One text, with what the model and people make of it."""

    domain: str
    text: Sentence
    row: Floats


def embedded(model: MiniLM, texts: Sequence[Sentence]) -> Floats:
    """float64, shape (texts, 384)."""
    return np.asarray(model.encode([one.text for one in texts]), dtype=np.float64)


@dataclass(frozen=True)
class Texts:
    """What the classifiers are made from, and what comes to them, in order."""

    tweets: list[Request]
    mixed: list[Request]
    coming: list[Request]


def traffic(domains: dict[str, list[Sentence]], model: MiniLM, draw: np.random.Generator) -> Texts:
    """Draw the texts, and embed them."""
    found: dict[str, list[Request]] = {}
    for name, sentences in domains.items():
        few = TRAINED + LABELLED + REFERENCE + BETWEEN if name == "tweets" else FEW + VISIT
        chosen = [sentences[place] for place in draw.permutation(len(sentences))[:few]]
        rows = embedded(model, chosen)
        found[name] = [Request(name, text, row) for text, row in zip(chosen, rows, strict=True)]
    tweets = found.pop("tweets")
    known, rest = tweets[: TRAINED + LABELLED], tweets[TRAINED + LABELLED :]
    mixed = known[:FEW] + [one for others in found.values() for one in others[:FEW]]
    # There are fewer tweets than it takes: those after the reference come again, in another order.
    later = [rest[place] for place in draw.integers(REFERENCE, len(rest), 4 * BETWEEN)]
    coming = rest[:REFERENCE] + later[:BETWEEN]
    for visit, name in enumerate(found, 1):
        coming += found[name][FEW:] + later[visit * BETWEEN : (visit + 1) * BETWEEN]
    return Texts(known, mixed, coming)


# 3. The guard.


@dataclass
class Seen:
    """What happened, row by row."""

    changes: list[tuple[int, Change]] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)
    naked: list[bool] = field(default_factory=list)
    degraded: list[bool] = field(default_factory=list)
    estimates: list[tuple[int, AccuracyEstimate]] = field(default_factory=list)


def trained(texts: Sequence[Request]) -> Classifier:
    """A classifier of its own for *texts*."""
    rows = np.array([one.row for one in texts])
    return Classifier.trained(rows, np.array([float(one.text.positive) for one in texts]))


def run(texts: Texts) -> Seen:
    """Let everything come: to the classifier alone, watched by one detector, and guarded by another."""
    classify, older = trained(texts.tweets[:TRAINED]), trained(texts.mixed)
    labelled = [(classify(one.row), one.text.positive) for one in texts.tweets[TRAINED:]]
    seen = Seen()
    place = 0

    def note(change: Change) -> None:
        seen.changes.append((place, change))

    beside = DriftDetector(
        Numbers("confidence", lambda answer: answer["confidence"]),
        arl=ARL,
        reference_size=REFERENCE,
        rearm=REARM,
        confidence=lambda answer: answer["confidence"],
        calibration=(
            [answer["confidence"] for answer, _ in labelled],
            [answer["positive"] == label for answer, label in labelled],
        ),
        window=300,
        on_change=note,
    )
    watch = DriftDetector(
        Vectors("embedding", side="input"),
        arl=ARL,
        reference_size=REFERENCE,
        rearm=REARM,
        action="refuse",
        on_change=note,
    )
    guard, alone = Pipeline(Fallback(older), watch), beside(classify)
    for place, one in enumerate(texts.coming):
        out = guard.outcome(classify, one.row)
        seen.right.append(out.unwrap()["positive"] == one.text.positive)
        seen.degraded.append(out.degraded)
        seen.naked.append(alone(one.row)["positive"] == one.text.positive)
        if place % 8 == 7:  # a service has workers for that; here, so that each run is the same
            watch.flush()
            beside.flush()
        estimate = beside.accuracy()
        if place % 25 == 24 and estimate is not None:
            seen.estimates.append((place, estimate))
    return seen


# 4. What came of it.


def spans(coming: list[Request]) -> list[tuple[str, int, int]]:
    """Each stretch of one domain: its name, its first row, and the row after its last."""
    found: list[tuple[str, int, int]] = []
    begin = 0
    for place in range(1, len(coming) + 1):
        if place == len(coming) or coming[place].domain != coming[begin].domain:
            found.append((coming[begin].domain, begin, place))
            begin = place
    return found


_STEP = {"drifted": "drifted", "ok": "is back", "warn": "is back"}


def report(coming: list[Request], seen: Seen) -> None:
    """A line for each stretch."""
    print(f"{'rows':>11}  {'domain':<11}{'classifier':>10}{'guarded':>9}{'by the older':>14}   noticed")
    for name, begin, end in spans(coming):
        naked, right, degraded = (np.mean(one[begin:end]) for one in (seen.naked, seen.right, seen.degraded))
        told = "; ".join(
            f"{change.signal} {_STEP[change.after]} after {place - begin + 1}"
            for place, change in seen.changes
            if begin <= place < end and "drifted" in (change.before, change.after)
        )
        print(f"{begin:>5}-{end:<5}  {name:<11}{naked:>10.1%}{right:>9.1%}{degraded:>14.0%}   {told}")
    away = [place for place, one in enumerate(coming) if one.domain != "tweets"]
    naked, right = (np.mean(np.array(one)[away]) for one in (seen.naked, seen.right))
    print(f"Of the rows that were no tweets the classifier alone has {naked:.1%} right, guarded {right:.1%}.")


def plot(coming: list[Request], seen: Seen, out: Path) -> None:
    """Accuracy over time, real and estimated, who answered, and what was noticed."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    figure, (upper, lower) = plt.subplots(
        2, 1, figsize=(11, 6.5), sharex=True, height_ratios=[3, 1], layout="constrained"
    )
    colours = {"tweets": "#ffffff", "editorials": "#fde3d3", "products": "#dbe9f6", "films": "#e3f1dd"}
    for axes in (upper, lower):
        for name, begin, end in spans(coming):
            axes.axvspan(begin, end, color=colours[name], zorder=0)
    for name, begin, end in spans(coming):
        upper.text((begin + end) / 2, 1.005, name, ha="center", va="bottom", fontsize=9)
    width = 150
    window = np.ones(width) / width
    places = np.arange(width - 1, len(coming))
    upper.plot(places, np.convolve(seen.naked, window, "valid"), color="#b0413e", label="classifier alone")
    upper.plot(places, np.convolve(seen.right, window, "valid"), color="#2f6690", label="guarded")
    at = [place for place, _ in seen.estimates]
    upper.plot(
        at,
        [one.accuracy for _, one in seen.estimates],
        color="#555555",
        linestyle="--",
        label="classifier, estimated without labels",
    )
    upper.fill_between(
        at,
        [one.low for _, one in seen.estimates],
        [one.high for _, one in seen.estimates],
        color="#555555",
        alpha=0.15,
    )
    upper.set_ylabel(f"right answers, last {width} rows")
    upper.set_ylim(0.6, 1.0)
    upper.legend(loc="lower right", fontsize=9)
    lower.fill_between(
        np.arange(len(coming)),
        seen.degraded,
        step="mid",
        color="#e0a458",
        label="the older classifier answers",
    )
    for place, change in seen.changes:
        if change.after == "drifted":
            lower.axvline(place, color="#b0413e", linewidth=1.2)
        elif change.before == "drifted":
            lower.axvline(place, color="#4b8b3b", linewidth=1.2)
    lower.set_yticks([])
    lower.set_xlabel("rows; red: drift is noticed, green: it is over")
    lower.legend(loc="upper right", fontsize=9)
    figure.savefig(out, dpi=110)


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=7, help="which texts come, in which order")
    parser.add_argument("--out", type=Path, default=Path("drift_llm.png"), help="where the plot is written")
    parser.add_argument("--texts", type=Path, default=None, help="the archive of texts, where you have it")
    options = parser.parse_args()
    try:
        model, domains = MiniLM(), load(options.texts)
    except (ModelMissing, TextsMissing) as missing:
        print(missing)
        return
    texts = traffic(domains, model, np.random.default_rng(options.seed))
    seen = run(texts)
    report(texts.coming, seen)
    plot(texts.coming, seen, options.out)
    print(f"The plot is in {options.out}")


if __name__ == "__main__":
    main()
