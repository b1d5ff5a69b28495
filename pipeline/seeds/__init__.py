"""The image classifier and its class maps: where the most discriminative part is."""
