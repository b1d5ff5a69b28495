"""The DeepLab network, its pixel loss, and the losses of SEC."""
