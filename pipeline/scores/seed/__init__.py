"""Scores of the classifier, of its class maps as seeds, and of where the maps point."""
