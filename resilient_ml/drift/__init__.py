"""Detectors of drift: pure, in bounded memory, told by the run length between false alarms."""

from .detector import Detector, Evidence, Level
from .e_cusum import ECusum
from .e_shiryaev_roberts import EShiryaevRoberts

__all__ = ["Detector", "ECusum", "EShiryaevRoberts", "Evidence", "Level"]
