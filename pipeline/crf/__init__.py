"""The fully connected CRF, used by guide labels, SEC, saliency and refinement."""
