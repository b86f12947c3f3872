"""``python -m resilient_ml``: what the library can do from a shell."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from . import __version__
from .evaluate.command import add_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that *arguments* name; without any, show what there is. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m resilient_ml", description="Keep a model answering, and prove that it does."
    )
    parser.add_argument("--version", action="version", version=f"resilient_ml {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    add_command(commands)
    parsed = parser.parse_args(arguments)
    if "run" not in parsed:
        parser.print_help()
        return 0
    status: int = parsed.run(parsed)
    return status


if __name__ == "__main__":
    sys.exit(main())
