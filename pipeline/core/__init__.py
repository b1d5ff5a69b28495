"""The base of all other packages: errors, array types, paths, file formats, params, processes."""
