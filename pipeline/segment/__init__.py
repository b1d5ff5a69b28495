"""The DeepLab segmenter and SEC's losses."""
