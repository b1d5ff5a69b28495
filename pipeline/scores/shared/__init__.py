"""Code that all scoring stages use: metrics, percentages, the list of images with a mask."""
