"""Read and check the images, tags and masks: the user's own, VOC's, or a generated data set."""
