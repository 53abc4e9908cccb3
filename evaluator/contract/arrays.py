"""The arrays that are computed with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
LabelArray = npt.NDArray[np.int8]
"""Classes 0/1."""
Truth = LabelArray | Floats
"""Classes 0/1, or targets."""
