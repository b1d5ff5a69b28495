"""`python -m stages NAME [VARIANT]` runs one stage. Ctrl-C ends it without a traceback."""

import sys
import threading

try:
    from pipeline.core import runtime
    from stages import _run

    threading.excepthook = runtime.forgive_pool
    _run.main()
except KeyboardInterrupt:  # also while imports are still running
    sys.exit(130)
