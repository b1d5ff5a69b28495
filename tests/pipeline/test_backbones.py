import pytest
import torch

from pipeline import backbones
from pipeline.errors import UserError
from tests.conftest import REAL

NAMES = [
    "vgg16",
    "vgg16_deeplab",
    "resnet50",
    "resnet101",
    "efficientnet_lite0",
    "resnet18.a1_in1k",
]


@pytest.mark.parametrize("stride", [8, 16, 32])
@pytest.mark.parametrize("name", NAMES)
def test_strides_and_widths(name, stride):
    trunk = backbones.build(name, output_stride=stride, weights="none").eval()
    with torch.no_grad():
        features = trunk(torch.zeros(1, 3, 96, 96, dtype=torch.uint8))
    assert max(features) == stride
    for s, f in features.items():
        assert f.shape[1] == trunk.channels[s]
        assert abs(f.shape[2] - 96 / s) <= 1  # DeepLab's padded pools add one


def test_dilation_of_deeplab_vgg_and_resnet():
    vgg = backbones.build("vgg16_deeplab", output_stride=8, weights="none")
    rates = [m.dilation[0] for m in vgg.stages[4] if isinstance(m, torch.nn.Conv2d)]
    assert rates == [2, 2, 2]
    resnet = backbones.build("resnet50", output_stride=8, weights="none")
    assert resnet.stages[4][-1].conv2.dilation == (4, 4)


def test_deeplab_vgg_maps_321_to_41():
    trunk = backbones.build("vgg16_deeplab", output_stride=8, weights="none").eval()
    with torch.no_grad():
        assert trunk(torch.zeros(1, 3, 321, 321))[8].shape[2:] == (41, 41)


def test_frozen_stages_do_not_learn_and_keep_their_statistics():
    for name in ("efficientnet_lite0", "resnet18.a1_in1k"):
        trunk = backbones.build(name, output_stride=16, weights="none")
        trunk.freeze(2)
        trunk.train()
        before = {k: v.clone() for k, v in trunk.state_dict().items()}
        trunk(torch.randint(0, 255, (2, 3, 64, 64)))[16].mean().backward()
        frozen = {n for n, p in trunk.named_parameters() if not p.requires_grad}
        learning = {n for n, p in trunk.named_parameters() if p.requires_grad}
        assert frozen and learning
        first = next(k for k in before if k.endswith("running_mean"))
        last = [k for k in before if k.endswith("running_mean")][-1]
        assert (trunk.state_dict()[first] == before[first]).all()
        assert (trunk.state_dict()[last] != before[last]).any()


def test_lite0_weights_of_the_package_see_imagenet():
    """ImageNet's own statistics: with the right weights the batch norms fit what they see."""
    trunk = backbones.build("efficientnet_lite0", output_stride=32, weights="imagenet").eval()
    assert trunk.stages[0][0].weight.std() > 0.2
    assert (trunk.stages[0][1].running_mean != 0).any()


def test_unknown_backbone_missing_and_unfitting_weights(tmp_path):
    with pytest.raises(UserError, match="backbone 'vgg61'"):
        backbones.build("vgg61", output_stride=16, weights="none")
    with pytest.raises(UserError, match="weights not found"):
        backbones.build("vgg16", output_stride=8, weights=str(tmp_path / "w.pth"))
    with (tmp_path / "w.pth").open("wb") as f:
        torch.save({"0.weight": torch.zeros(1)}, f)
    with pytest.raises(UserError, match="do not fit this backbone"):
        backbones.build("vgg16", output_stride=8, weights=str(tmp_path / "w.pth"))


def test_half_precision_vgg_features_load():
    path = REAL.parent / "weights/vgg16_imagenet_features_fp16.pth"
    if not path.exists():
        pytest.skip(f"no {path}")
    trunk = backbones.build("vgg16", output_stride=8, weights=str(path))
    assert trunk.stages[0][0].weight.dtype == torch.float32
    assert trunk.stages[0][0].weight.std() > 0.1
