"""Trunks, their weights, and the files of trained networks."""
