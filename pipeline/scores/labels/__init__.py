"""Scores of label images: seeds, fused labels, guide labels and segmenters' predictions."""
