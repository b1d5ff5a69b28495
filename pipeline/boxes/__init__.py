"""Read the boxes of objects, and make labels from them."""
