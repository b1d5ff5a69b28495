"""Scores of every link: a package for each scoring stage, and one for what they share."""
