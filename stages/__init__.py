"""One short module for each DVC stage: read files, call `pipeline`, write files.

A module has `run` and SLICES, the parts of params.yaml that `run` takes. SLICES maps each keyword
of `run` to a dotted name in params.yaml and its model. A stage with variants, such as `relabel
oracle`, has one such mapping per variant, and its `run` takes the variant's name after the layout.
SHARED = True says that ranks may share the training. A stage that works image by image has a class:
its instances turn a chunk of images into files, and `_resume` gives them to the engine.
"""

import os

STARTED_BY = os.getppid()  # read before the slow imports, in which the parent may be killed
