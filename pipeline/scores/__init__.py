"""Scores of every link; a package for each scoring stage, and what they share."""
