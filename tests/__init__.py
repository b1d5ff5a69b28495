"""The tests. Each process that they start has one thread, so that two tests can run in parallel."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # two threads sleep while one waits
