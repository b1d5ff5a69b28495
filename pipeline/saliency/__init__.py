"""Class-agnostic foreground maps: how far an object extends."""
