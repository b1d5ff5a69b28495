"""The tests; what they start takes one thread, so that two can run beside each other."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
