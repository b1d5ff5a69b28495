"""Masks that the user brings: of another tool, of a person, or corrected guide labels."""
