"""What goes wrong with the streams of a model service, as data, and how a client comes through it.

:data:`STREAM_FAULTS` are sixteen faults, :data:`STREAM_CONTROLS` three cases in which nothing is wrong.
:func:`score` takes a client through one of them, in virtual time, on threads, asyncio or trio, and says
whether it passed, passed in part, failed safely, or presented something wrong as the answer.

>>> from resilient_ml import Fallback, Pipeline, Retry
>>> def client(primary, secondary):
...     return Pipeline(Fallback(secondary), Retry(3))(primary)
>>> for fault in STREAM_FAULTS[4:6]:
...     print(fault.id, score(client, fault).verdict)
S05 pass
S06 partial
"""

from .catalogue import STREAM_CONTROLS, STREAM_FAULTS
from .chunks import Chunk, ServiceError
from .fault import StreamFault
from .provider import Attempt, Provider
from .reading import Answer
from .scoring import Client, Guarded, Score, Verdict, score
from .steps import (
    WELL,
    Cut,
    Fail,
    Final,
    Garble,
    Heartbeat,
    Refuse,
    Role,
    Say,
    Script,
    Tell,
    Wait,
)

__all__ = [
    "STREAM_CONTROLS",
    "STREAM_FAULTS",
    "WELL",
    "Answer",
    "Attempt",
    "Chunk",
    "Client",
    "Cut",
    "Fail",
    "Final",
    "Garble",
    "Guarded",
    "Heartbeat",
    "Provider",
    "Refuse",
    "Role",
    "Say",
    "Score",
    "Script",
    "ServiceError",
    "StreamFault",
    "Tell",
    "Verdict",
    "Wait",
    "score",
]
