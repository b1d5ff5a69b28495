"""Which image a file means."""

import pytest

from app.tag_sources.matching import Matcher

IMAGES = ["dog.jpg", "a/dog.jpg", "a/b/cat.jpg", "über uns/x.PNG", "deadbeef-y.jpg", "z.jpg"]
FOUND = {
    "dog.jpg": "dog.jpg",
    "./a/dog.jpg": "a/dog.jpg",
    "cat.jpg": "a/b/cat.jpg",
    "cat": "a/b/cat.jpg",
    "a/b/cat": "a/b/cat.jpg",
    "/home/x/photos/a/dog.jpg": "a/dog.jpg",
    "C:\\photos\\b\\cat.jpg": "a/b/cat.jpg",
    "/data/upload/1/3fa2c1d8-cat.jpg": "a/b/cat.jpg",
    "/data/upload/1/deadbeef-y.jpg": "deadbeef-y.jpg",
    "/data/local-files/?d=photos%2Fa%2Fdog.jpg": "a/dog.jpg",
    "/data/local-files/?d=photos/a/dog.jpg": "a/dog.jpg",
    "s3://bucket/a/b/cat.jpg": "a/b/cat.jpg",
    "https://example.org/z.jpg?X-Amz-Date=1": "z.jpg",
    "https://example.org/%C3%BCber%20uns/x.PNG": "über uns/x.PNG",
    "u\u0308ber uns/x": "über uns/x.PNG",
    "dog": "dog.jpg",
    "q/dog.jpg": None,  # two images have this name, and neither is in a folder q
    "other.jpg": None,
    "og.jpg": None,
    "../../etc/passwd": None,
    "http://[bad": None,
    "": None,
}


@pytest.mark.parametrize(("name", "image"), FOUND.items(), ids=map(repr, FOUND))
def test_an_image_is_found_by_the_longest_end_that_fits_one(name, image):
    assert Matcher(IMAGES).find(name) == image
