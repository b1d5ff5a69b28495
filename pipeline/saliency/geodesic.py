"""Compute saliency without learning, as the geodesic distance to the image border.

Shapes: H, W image size in px.
"""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra
from skimage.color import rgb2lab
from skimage.segmentation import slic

from pipeline.core.arrays import Float, Int, UInt8
from pipeline.saliency.config import SaliencyClassical


def geodesic(image_HW3: UInt8, options: SaliencyClassical) -> Float:
    """Compute the length of the shortest colour path from each superpixel to the image border.

    Source: Wei et al., ECCV 2012 (geodesic saliency), on SLIC superpixels. As in the paper, small
    edges cost nothing: those up to the mean, over superpixels, of the smallest difference to a
    neighbour. Departure: the border itself costs nothing. The paper gives a superpixel at the
    border a cost, by how salient it is along the border (recalled).

    Returns:
        Saliency (H, W), at least 0 and not normalised. It is 0 if there is one superpixel only.
    """
    lab = rgb2lab(image_HW3)
    ids: Int = slic(
        lab,
        n_segments=options.superpixels,
        compactness=options.compactness,
        convert2lab=False,
        start_label=0,
    )
    count = int(ids.max()) + 1
    area = np.bincount(ids.ravel(), minlength=count)
    total = np.stack([np.bincount(ids.ravel(), lab[..., c].ravel(), count) for c in range(3)], 1)
    mean = total / area[:, None]
    pairs = np.concatenate([_neighbours(ids), _neighbours(ids.T)])
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    if not len(pairs):
        return np.zeros(ids.shape, np.float32)
    cost: Float = np.linalg.norm(mean[pairs[:, 0]] - mean[pairs[:, 1]], axis=1)
    nearest = np.full(count, np.inf)
    np.minimum.at(nearest, pairs.ravel(), np.repeat(cost, 2))
    cost = np.where(cost > nearest[np.isfinite(nearest)].mean(), cost, 0) + 1e-6
    border = np.unique(np.concatenate([ids[0], ids[-1], ids[:, 0], ids[:, -1]]))
    graph = coo_matrix((cost, (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    distance = dijkstra(graph.tocsr(), directed=False, indices=border, min_only=True)
    return distance[ids].astype(np.float32)


def _neighbours(ids: Int) -> Int:
    """Pairs (N, 2) of superpixels that touch horizontally, one for each pair of pixels."""
    left, right = ids[:, :-1].ravel(), ids[:, 1:].ravel()
    return np.stack([left, right], axis=1)[left != right]
