"""Make class-agnostic foreground maps, which tell how far an object extends."""
