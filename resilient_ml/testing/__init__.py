"""What tests and benchmarks of guarded code are written with: virtual time, faults, simulation, proof."""

from .clock import VirtualClock
from .event_trace import EventTrace
from .injector import FaultInjector
from .turns import VirtualTimeOver, VirtualTimeStuck
from .virtual_time import virtual_time

__all__ = [
    "EventTrace",
    "FaultInjector",
    "VirtualClock",
    "VirtualTimeOver",
    "VirtualTimeStuck",
    "virtual_time",
]
