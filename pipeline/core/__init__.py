"""What every package uses: errors, arrays, paths, file formats, params, processes."""
