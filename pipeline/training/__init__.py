"""The training loop, its views of the images, optimisers and schedules."""
