"""`torchrun` on this machine: how its ranks ended is one line, not a trace of torchrun's own."""

import logging
import sys

from torch.distributed import run
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError


def main(args: list[str]) -> None:
    """Start the ranks by torchrun's `args` and wait; the first that fails ends all."""
    logging.disable()  # of torchrun alone: the ranks are processes of their own
    try:
        run.run(run.parse_args(args))  # type: ignore[no-untyped-call]
    except SignalException as e:
        sys.exit(128 + e.sigval)
    except ChildFailedError as e:
        rank, failure = e.get_first_failure()
        code, name = failure.exitcode, failure.signal_name()
        how = f"was killed by {name}" if code < 0 else f"ended with exit code {code}"
        sys.exit(f"error: rank {rank} {how}; the others were stopped")


if __name__ == "__main__":
    main(sys.argv[1:])
