"""Array types, and the two label values that do not stand for a class."""

from typing import Any

import numpy as np
import numpy.typing as npt

UInt8 = npt.NDArray[np.uint8]
Int = npt.NDArray[np.signedinteger[Any]]
Float = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]

VOID = 255  # in labels: class unknown; scores and losses skip these pixels
CONTESTED = 254  # in fused labels: two or more classes claim this component
