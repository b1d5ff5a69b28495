"""Scores of label images: seeds, fused and guide labels, segmenters."""
