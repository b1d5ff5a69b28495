"""Scores of saliency maps."""
