"""The image classifier, and class maps that show the most discriminative part of an object."""
