"""Fuse seeds and saliency into guide labels."""
