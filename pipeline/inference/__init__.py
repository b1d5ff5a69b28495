"""Networks at test time: whole images in batches, at several scales, with mirrored images."""
