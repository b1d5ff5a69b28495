"""Readers of image tags in the formats of other tools."""
