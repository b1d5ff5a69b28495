"""Train a trunk without labels: predict rotations, or contrast two views of each image."""
