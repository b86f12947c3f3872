"""What tests and benchmarks of guarded code are written with: virtual time, faults, simulation, proof."""

from typing import TYPE_CHECKING, Any

from .clock import VirtualClock
from .ending import VirtualTimeOver, VirtualTimeStuck
from .event_trace import EventTrace
from .virtual_time import virtual_time

if TYPE_CHECKING:
    from .injector import FaultInjector
    from .streaming import STREAM_CONTROLS, STREAM_FAULTS

__all__ = [
    "STREAM_CONTROLS",
    "STREAM_FAULTS",
    "EventTrace",
    "FaultInjector",
    "VirtualClock",
    "VirtualTimeOver",
    "VirtualTimeStuck",
    "virtual_time",
]


def __getattr__(name: str) -> Any:
    # Every run of pytest loads this package, and few need the faults, which take numpy.
    if name == "FaultInjector":
        from .injector import FaultInjector

        return FaultInjector
    if name in ("STREAM_CONTROLS", "STREAM_FAULTS"):
        from . import streaming

        return getattr(streaming, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
