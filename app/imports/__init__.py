"""Readers of masks that people drew or corrected in other tools."""
