"""What all scoring stages use: metrics of label images, rounding, the scored images."""
