"""Scores of every link: a package for each group, `calibration`, and `shared` for the rest."""
