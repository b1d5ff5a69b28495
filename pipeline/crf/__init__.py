"""The fully connected CRF, which guide labels, SEC, saliency and refinement use."""
