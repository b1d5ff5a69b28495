"""One short module per DVC stage: read files, call `pipeline`, write files."""
