"""Calibration: whether a network is right as often as its confidence says."""
