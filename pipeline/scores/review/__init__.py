"""Which images are most worth a look: where the links of the chain disagree."""
