"""Inference: every image once, the mean over mirrored images and over scales."""

import pytest
import torch
from torch import nn

from pipeline.core.config import Infer
from pipeline.core.samples import Sample
from pipeline.inference import infer, whole
from pipeline.inference.sizes import Photo, target_size
from tests.conftest import photo


class Corner(nn.Module):
    """Returns the brightness at stride 32, doubled in the left half."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, image):
        out = nn.functional.avg_pool2d(image.float().mean(1, keepdim=True), 32)
        half = out.shape[-1] // 2
        return torch.cat([2 * out[..., :half], out[..., half:]], -1)


def options(**changes):
    return Infer(**{"size_px": 64, "scales": (1.0,), "flip": False} | changes)


@pytest.fixture
def samples(tmp_path):
    sizes = [(80, 60), (60, 80), (80, 60), (81, 60)]
    for i, size in enumerate(sizes):
        photo(tmp_path / f"{i}.png", size=size, seed=i)
    return [
        Sample(str(i), tmp_path / f"{i}.png", "val", (), h, w, "") for i, (w, h) in enumerate(sizes)
    ]


def test_every_sample_comes_once_and_at_its_own_size(samples):
    pairs = list(infer.run(Corner(), samples, options(), title="test"))
    outputs = {s.id: o for s, o in pairs}
    assert len(pairs) == 4 and set(outputs) == {"0", "1", "2", "3"}
    assert outputs["0"][0].shape == (1, 1, 2) and outputs["1"][0].shape == (1, 2, 1)


def test_batches_do_not_change_results(samples):
    together = {s.id: o[0] for s, o in infer.run(Corner(), samples, options(), title="test")}
    for s in samples:
        ((_, alone),) = infer.run(Corner(), [s], options(), title="test")
        torch.testing.assert_close(alone[0], together[s.id])


def test_a_batch_is_skipped_only_if_all_its_images_are_done(samples):
    """Images 0 and 2 have the same size, so they share a batch. Images 1 and 3 are alone."""
    computed = [
        s.id for s, _ in infer.run(Corner(), samples, options(), title="test", done={"0", "1"})
    ]
    assert sorted(computed) == ["0", "2", "3"]
    assert not list(
        infer.run(Corner(), samples, options(), title="test", done={"0", "1", "2", "3"})
    )


def test_flip_averages_the_image_and_its_mirror_image(samples):
    ((_, plain),) = infer.run(Corner(), samples[:1], options(), title="test")
    ((_, averaged),) = infer.run(Corner(), samples[:1], options(flip=True), title="test")
    brightness = plain[0] / torch.tensor([2.0, 1.0])
    torch.testing.assert_close(averaged[0], brightness * 1.5)


def test_there_is_an_output_for_each_scale(samples):
    ((_, out),) = infer.run(Corner(), samples[:1], options(scales=(0.5, 1.0, 2.0)), title="test")
    assert [tuple(o.shape[1:]) for o in out] == [(1, 1), (1, 2), (3, 4)]


def test_merged_outputs_are_their_mean_at_the_largest_size():
    small = torch.tensor([[2.0, 6.0]])[None, None]
    large = torch.tensor([[1.0, 1, 1, 1], [0, 0, 0, 0]])[None, None]
    stretched = torch.tensor([2.0, 3.0, 5.0, 6.0])  # bilinear, with half-pixel centres
    expected = torch.stack([(stretched + 1) / 2, stretched / 2])
    torch.testing.assert_close(infer.merge([small, large])[0, 0], expected)
    torch.testing.assert_close(infer.merge([large, small])[0, 0], expected)


def test_foreground_is_the_mean_probability_over_the_scales():
    """Logits 0 and log 3 give 3/4. Logits log 9 and 0 give 1/10."""
    small = torch.log(torch.tensor([1.0, 3.0])).view(2, 1, 1)
    large = torch.log(torch.tensor([9.0, 1.0])).view(2, 1, 1).expand(2, 2, 2)
    expected = torch.full((2, 2), (0.75 + 0.1) / 2)
    torch.testing.assert_close(infer.foreground([small, large]), expected)


def test_each_side_of_the_target_size_is_rounded_to_the_stride():
    assert target_size(375, 500, long_px=448, stride=16) == (336, 448)
    assert target_size(1000, 10, long_px=320, stride=16) == (320, 16)


def test_native_is_each_images_own_size_rounded_to_the_stride(tmp_path):
    sizes = {"small": (70, 100), "large": (375, 500), "tiny": (5, 40)}  # height, width
    for name, (height, width) in sizes.items():
        photo(tmp_path / f"{name}.png", size=(width, height))
    pictures = [Photo(n, tmp_path / f"{n}.png", *size) for n, size in sizes.items()]
    native = options(size_px="native", scales=(1.0, 2.0))
    _, batches = whole.whole_batches(pictures, native, stride=16)
    seen = {batch[0].id: [tuple(v.shape[2:]) for v in views] for batch, views in batches}
    assert seen == {
        "small": [(64, 96), (128, 192)],
        "large": [(368, 496), (736, 992)],
        "tiny": [(16, 32), (32, 64)],
    }
