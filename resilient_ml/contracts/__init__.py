"""What an answer, or an input, must be: rules for a :class:`~resilient_ml.Contract`.

>>> from resilient_ml import Contract
>>> from resilient_ml.contracts import Probabilities, Shape
>>> @Contract(Shape(None, 3), Probabilities())
... def classify(texts):
...     return [[0.2, 0.3, 0.5] for text in texts]
>>> classify(["fine"])
[[0.2, 0.3, 0.5]]
"""

from .arrays import DType, Shape
from .check import Check
from .finite import Finite
from .language import Language, Script
from .repetition import NoRepetition
from .rule import Action, Rule, Watch
from .schema import Schema
from .scores import Confidence, Norm, Probabilities, Range
from .texts import Length, Pattern

__all__ = [
    "Action",
    "Check",
    "Confidence",
    "DType",
    "Finite",
    "Language",
    "Length",
    "NoRepetition",
    "Norm",
    "Pattern",
    "Probabilities",
    "Range",
    "Rule",
    "Schema",
    "Script",
    "Shape",
    "Watch",
]
