"""Detectors of drift: pure, in bounded memory, told by the run length between false alarms."""

from .accuracy import AccuracyEstimate, ConfidenceEstimator
from .categorical import CategoricalShiryaevRoberts
from .conformal import ConformalShiryaevRoberts
from .detector import Detector, Evidence, Level
from .distances import Distance, chi_square, jensen_shannon, ks, mmd, psi, wasserstein
from .e_cusum import ECusum
from .e_shiryaev_roberts import EShiryaevRoberts
from .monitor import Change, State
from .random_features import RandomFeatureAverages
from .seasonal import SeasonalShiryaevRoberts
from .signals import Classes, Losses, Numbers, Signal, Vectors
from .thinned import Thinned, correlation_time
from .whitened import WhitenedShiryaevRoberts
from .windowed_ks import WindowedKS

__all__ = [
    "AccuracyEstimate",
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
    "SeasonalShiryaevRoberts",
    "Signal",
    "State",
    "Thinned",
    "Vectors",
    "WhitenedShiryaevRoberts",
    "WindowedKS",
    "chi_square",
    "correlation_time",
    "jensen_shannon",
    "ks",
    "mmd",
    "psi",
    "wasserstein",
]
