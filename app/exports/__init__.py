"""Masks in the formats of other tools: `export masks` and `export voc-server`."""
