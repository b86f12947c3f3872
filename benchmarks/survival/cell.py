"""One fault for one library, in a process of its own: ``python -m survival.cell F01 tenacity``.

The verdict is the last line of what it prints, as JSON. Whatever is left behind, hung threads too, ends with
the process.
"""

from __future__ import annotations

import json
import os
import sys
import time

from .cases import judge_fault
from .libraries import LIBRARIES
from .verdicts import ABSENT, Verdict


def judge(fault: str, name: str) -> Verdict:
    """How library *name* comes through *fault*."""
    library = LIBRARIES[name]
    return ABSENT if library.version() is None else judge_fault(fault, library)


def main() -> None:
    """Judge, tell, and end at once."""
    fault, name = sys.argv[1:3]
    began = time.monotonic()
    verdict = judge(fault, name)
    told = {"status": verdict.status, "reason": verdict.reason, "seconds": time.monotonic() - began}
    print("\n" + json.dumps(told), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
