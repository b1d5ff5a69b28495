"""The logic of GuideLabel: arrays in, arrays out. Knows no DVC, no command line, no fixed paths."""
