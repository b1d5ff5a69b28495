"""Trunks and how trained networks are stored."""
