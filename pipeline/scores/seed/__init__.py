"""Scores of the classifier, its class maps and where they point."""
