"""Networks at test time: several scales, mirrored images, batches of one size."""
