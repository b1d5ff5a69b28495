"""What the verbs of cli.py do, as plain functions."""
