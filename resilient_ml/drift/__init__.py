"""Detectors of drift: pure, in bounded memory, told by the run length between false alarms."""

from .accuracy import AccuracyEstimate, ConfidenceEstimator
from .calibration import Calibration, calibration_error
from .categorical import CategoricalShiryaevRoberts
from .conformal import ConformalShiryaevRoberts
from .detector import Detector, Evidence, Level
from .distances import Distance, chi_square, jensen_shannon, ks, mmd, psi, wasserstein
from .e_cusum import ECusum
from .e_shiryaev_roberts import EShiryaevRoberts
from .monitor import Change, State
from .random_features import RandomFeatureAverages
from .signals import Classes, Losses, Numbers, Signal, Vectors
from .whitened import WhitenedShiryaevRoberts
from .windowed_ks import WindowedKS

__all__ = [
    "AccuracyEstimate",
    "Calibration",
    "CategoricalShiryaevRoberts",
    "Change",
    "Classes",
    "ConfidenceEstimator",
    "ConformalShiryaevRoberts",
    "Detector",
    "Distance",
    "ECusum",
    "EShiryaevRoberts",
    "Evidence",
    "Level",
    "Losses",
    "Numbers",
    "RandomFeatureAverages",
    "Signal",
    "State",
    "Vectors",
    "WhitenedShiryaevRoberts",
    "WindowedKS",
    "calibration_error",
    "chi_square",
    "jensen_shannon",
    "ks",
    "mmd",
    "psi",
    "wasserstein",
]
