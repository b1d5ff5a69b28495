"""One short module per DVC stage: read files, call `pipeline`, write files.

A module has `run` and `SLICES`, the parts of params.yaml that `run` takes: keyword -> (dotted name,
model). Where the command line names a variant, such as `relabel oracle`, SLICES has an entry for
each variant, and `run` takes its name after the layout. SHARED says that ranks may share the work.
"""
