"""Run torchrun on this machine. If a rank fails, print one line instead of torchrun's traceback."""

import logging
import os
import sys

from torch.distributed import run
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from pipeline.core import runtime


def main(args: list[str]) -> None:
    """Start the ranks with torchrun's `args`, and wait. If one fails, the others are stopped."""
    if "DVC_STAGE" in os.environ:
        runtime.watch_parent()
    logging.disable()  # affects torchrun only, because the ranks are processes of their own
    try:
        run.run(run.parse_args(args))  # type: ignore[no-untyped-call]
    except SignalException as e:
        sys.exit(128 + e.sigval)
    except ChildFailedError as e:
        rank, failure = e.get_first_failure()
        code, name = failure.exitcode, failure.signal_name()
        end = f"was killed by {name}" if code < 0 else f"ended with exit code {code}"
        sys.exit(f"error: rank {rank} {end}; the others were stopped")


if __name__ == "__main__":
    main(sys.argv[1:])
