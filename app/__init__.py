"""What the verbs of cli.py do, as plain functions."""

__version__ = "0.1.0"
