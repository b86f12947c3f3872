"""Detectors of drift: pure, in bounded memory, told by the run length between false alarms."""

from .accuracy import AccuracyEstimate, ConfidenceEstimator
from .adwin import ADWIN
from .calibration import Calibration, calibration_error
from .categorical import CategoricalShiryaevRoberts
from .classes import Classes
from .combined import Combined
from .conformal import ConformalShiryaevRoberts
from .cusum import CUSUM
from .ddm import DDM
from .detector import Detector, Evidence, Level
from .distances import Distance, chi_square, jensen_shannon, ks, mmd, psi, wasserstein
from .e_cusum import ECusum
from .e_shiryaev_roberts import EShiryaevRoberts
from .hddm_a import HDDMA
from .hddm_w import HDDMW
from .markov import MarkovShiryaevRoberts
from .monitor import Change, State
from .page_hinkley import PageHinkley
from .random_features import RandomFeatureAverages
from .seasonal import SeasonalShiryaevRoberts
from .seasonal_categorical import SeasonalCategorical
from .seasonal_features import SeasonalFeatureAverages
from .signals import Losses, Numbers, Signal, Vectors
from .stratified import StratifiedShiryaevRoberts
from .thinned import Thinned, correlation_time
from .whitened import WhitenedShiryaevRoberts
from .windowed_ks import WindowedKS

__all__ = [
    "ADWIN",
    "CUSUM",
    "DDM",
    "HDDMA",
    "HDDMW",
    "AccuracyEstimate",
    "Calibration",
    "CategoricalShiryaevRoberts",
    "Change",
    "Classes",
    "Combined",
    "ConfidenceEstimator",
    "ConformalShiryaevRoberts",
    "Detector",
    "Distance",
    "ECusum",
    "EShiryaevRoberts",
    "Evidence",
    "Level",
    "Losses",
    "MarkovShiryaevRoberts",
    "Numbers",
    "PageHinkley",
    "RandomFeatureAverages",
    "SeasonalCategorical",
    "SeasonalFeatureAverages",
    "SeasonalShiryaevRoberts",
    "Signal",
    "State",
    "StratifiedShiryaevRoberts",
    "Thinned",
    "Vectors",
    "WhitenedShiryaevRoberts",
    "WindowedKS",
    "calibration_error",
    "chi_square",
    "correlation_time",
    "jensen_shannon",
    "ks",
    "mmd",
    "psi",
    "wasserstein",
]
