"""Coverage-guided fuzzing of the readers and of fusion; `make fuzz` runs it."""
