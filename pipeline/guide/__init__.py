"""Seeds and saliency fused into guide labels."""
