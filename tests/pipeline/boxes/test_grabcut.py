import cv2
import numpy as np
import pytest

from pipeline.boxes.grabcut import grabcut


@pytest.fixture
def asked(monkeypatch):
    """What OpenCV's GrabCut is asked; it leaves the mask as it is."""
    calls = []
    monkeypatch.setattr(cv2, "grabCut", lambda *args: calls.append(args))
    return calls


def test_grabcut_gets_blue_green_red_and_the_boxes_as_probable_object(asked):
    image = np.full((6, 8, 3), (200, 40, 10), np.uint8)
    found = grabcut(image, [(2, 1, 3, 2), (7, 5, 1, 1)], iterations=4)
    [(pixels, mask, rectangle, _, _, iterations, mode)] = asked
    assert (pixels == (10, 40, 200)).all() and rectangle is None
    assert (iterations, mode) == (4, cv2.GC_INIT_WITH_MASK)
    expected = np.zeros((6, 8), bool)
    expected[1:3, 2:5] = expected[5, 7] = True
    assert (found == expected).all()
    assert (mask == np.where(expected, cv2.GC_PR_FGD, cv2.GC_BGD)).all()


def test_with_fewer_than_16_px_outside_the_boxes_are_the_mask(asked):
    image = np.zeros((1, 20, 3), np.uint8)
    grabcut(image, [(0, 0, 4, 1)], iterations=1)
    assert len(asked) == 1
    assert grabcut(image, [(0, 0, 5, 1)], iterations=1).tolist() == [[True] * 5 + [False] * 15]
    assert len(asked) == 1
