"""Detectors of drift: pure, in bounded memory, told by the run length between false alarms."""

from .categorical import CategoricalShiryaevRoberts
from .conformal import ConformalShiryaevRoberts
from .detector import Detector, Evidence, Level
from .e_cusum import ECusum
from .e_shiryaev_roberts import EShiryaevRoberts
from .random_features import RandomFeatureAverages
from .whitened import WhitenedShiryaevRoberts

__all__ = [
    "CategoricalShiryaevRoberts",
    "ConformalShiryaevRoberts",
    "Detector",
    "ECusum",
    "EShiryaevRoberts",
    "Evidence",
    "Level",
    "RandomFeatureAverages",
    "WhitenedShiryaevRoberts",
]
