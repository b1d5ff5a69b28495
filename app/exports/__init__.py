"""Masks and trained segmenters in the formats of other tools: `export`."""
