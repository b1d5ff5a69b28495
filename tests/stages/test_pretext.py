"""The stage pretext, and how the classifier and the segmenter start from its trunk."""

import dataclasses

import pytest
import timm
import torch

from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.core.params import section
from pipeline.core.samples import Sample, write_samples
from pipeline.nets.weights import read_weights
from pipeline.pretext.config import PretextTrain
from pipeline.pretext.tasks import TASKS
from pipeline.training import fit
from stages import pretext
from tests.project import TINY


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_neither_tags_nor_images_of_val_change_the_trunk(params, folder_set, tmp_path, task):
    layout = Layout(tmp_path)
    train = section(params, "pretext.train", PretextTrain)
    train = train.model_copy(update={"epochs": 1, "size_px": 32})
    options = section(params, f"pretext.options.{task}", pretext.SLICES[task]["options"][1])

    def trained(seed=0):
        pretext.run(layout, task, options=options, backbone="resnet18.a1_in1k", train=train,
                    random_seed=seed)  # fmt: skip
        return formats.digest(layout.pretext(task))

    paths = sorted((folder_set / "images").iterdir())
    samples = [Sample(p.stem, p, "train", ("cat",), 30, 40, "") for p in paths]
    samples[3] = dataclasses.replace(samples[3], split="val")
    write_samples(layout.samples, samples)
    first = trained()
    write_samples(layout.samples, [dataclasses.replace(s, tags=()) for s in samples[:3]])
    assert trained() == first and trained(seed=1) != first


@pytest.fixture
def project(copy, folder_params, monkeypatch):
    """The working folder: a project with four photographs, after `prepare`."""
    monkeypatch.chdir(copy.root)
    copy.change(TINY)
    copy.change({"data": folder_params["data"]})
    copy.stages("prepare")
    return copy


def test_classifier_and_segmenter_start_from_exactly_the_saved_trunk(project, monkeypatch):
    """The segmenter's trunk lacks the last convolution, which only a classifier has."""
    project.stages("pretext rotation")
    started = []
    monkeypatch.setattr(fit, "fit", lambda net, *args, **kw: started.append(net.eval()) or [])
    used = {"weights": "pretext"}
    project.change({"pretext": {"task": "rotation"}, "seed": used, "segment": used})
    project.stages("train_seed", "train_segment full")
    saved = read_weights(Layout().pretext("rotation") / "weights.safetensors")
    published = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0)
    names = list(published.state_dict())
    assert set(names) == set(saved)
    last = [name for name in names if name.startswith(("conv_head", "bn2"))]
    for net, known in zip(started, (names, names[: -len(last)]), strict=True):
        for name, tensor in zip(known, net.trunk.state_dict().values(), strict=True):
            assert torch.equal(saved[name], tensor), name


def test_a_trunk_that_is_not_trained_yet_is_named_with_its_stage(project):
    project.change({"pretext": {"task": "simclr"}, "seed": {"weights": "pretext"}})
    done = project.here("-m", "stages", "train_seed", check=False)
    assert done.returncode == 1 and done.stderr.endswith(
        "error: train_seed: data/pretext/simclr/weights.safetensors: not found; "
        "run `python cli.py run pretext@simclr` first\n"
    )
