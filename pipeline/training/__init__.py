"""The training loop, random views of the images, optimisers and schedules."""
