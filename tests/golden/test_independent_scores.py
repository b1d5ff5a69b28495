"""The golden score files equal counts in loops, and scores of torchmetrics."""

import numpy as np
import pytest
import torch
from torchmetrics import JaccardIndex

from pipeline.core import formats
from pipeline.core.layout import Layout
from tests.golden import score_cases, store

SPLITS = {"train": range(3), "val": range(3, 6)}
LINKS = [
    ("guide", "seeds", "data/fused/seeds"),
    ("guide", "guide", "data/labels/guide"),
    ("guide", "fused", "data/fused/labels"),
    ("segment", "segmenter_guide", "data/predictions/guide"),
    ("segment", "refined_guide", "data/refined/guide"),
    ("segment", "segmenter_full", "data/predictions/full"),
    ("segment", "refined_full", "data/refined/full"),
]
VOID = 255


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("scored")
    score_cases.write_project(root)
    return root


def number(group, name):
    return float(store.read("score_files")[f"{group}.json"][name])


def pairs(project, folder, split):
    """Return (truth, label) of every image of a split for which there is a label."""
    return [
        (score_cases.truth(i), formats.read_label(path))
        for i in SPLITS[split]
        if (path := project / folder / f"i{i}.png").exists()
    ]


def counted(truths_and_labels):
    """Count pixels by (truth, label), without void."""
    counts = np.zeros((3, 256))
    for truth, label in truths_and_labels:
        for t, p in zip(truth.ravel(), label.ravel(), strict=True):
            if t != VOID:
                counts[t, p] += 1
    return counts


def class_ious(counts):
    return [counts[c, c] / (counts[c].sum() + counts[:, c].sum() - counts[c, c]) for c in range(3)]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("group, link, folder", LINKS)
def test_label_scores_equal_counting_in_loops(project, group, link, folder, split):
    image_pairs = pairs(project, folder, split)
    if not image_pairs:
        assert group == "segment" and split == "train"
        return
    counts = counted(image_pairs)
    ious = class_ious(counts)
    assert number(group, f"{link}.{split}.mIoU") == pytest.approx(100 * np.mean(ious), abs=0.0051)
    table = store.read("score_files")[f"{group}/iou.tsv"]["lines"]
    for name, iou in zip(["background", *score_cases.CLASSES], ious, strict=True):
        assert f"{link}\t{split}\t{name}\t{100 * iou:.2f}" in table
    if group == "segment":
        share = counts.sum(axis=1) / counts.sum()
        right = sum(counts[c, c] for c in range(3)) / counts.sum()
        name = f"{link}.{split}"
        assert number(group, f"{name}.pixel_accuracy") == pytest.approx(100 * right, abs=0.0051)
        assert number(group, f"{name}.fwIoU") == pytest.approx(100 * share @ ious, abs=0.0051)


def drawn_again(both):
    """The mean IoU of each of a thousand draws of the images with replacement."""
    images = [counted([pair]) for pair in both]
    draws = np.random.default_rng(0).multinomial(len(images), [1 / len(images)] * len(images), 1000)
    return np.array([occurring(sum(k * c for k, c in zip(d, images, strict=True))) for d in draws])


def occurring(counts):
    """The mean IoU of the classes that a draw holds or shows."""
    here = [c for c in range(3) if counts[c].any() or counts[:, c].any()]
    unions = [counts[c].sum() + counts[:, c].sum() - counts[c, c] for c in here]
    return np.mean([counts[c, c] / union for c, union in zip(here, unions, strict=True)])


def check(group, name, value, drawn):
    """A score and its interval, in percent, against shares."""
    ends = np.percentile(drawn, [2.5, 97.5])
    for suffix, expected in zip(("", "_low", "_high"), (value, *ends), strict=True):
        assert number(group, name + suffix) == pytest.approx(100 * expected, abs=0.0051)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("group, link, folder", LINKS)
def test_images_of_both_classes_by_themselves(project, group, link, folder, split):
    both = [p for p in pairs(project, folder, split) if (p[0] == 1).any() and (p[0] == 2).any()]
    if both:
        name = f"{link}.{split}.several_tags"
        assert number(group, f"{name}_images") == len(both) == {"train": 1, "val": 2}[split]
        check(group, f"{name}_mIoU", occurring(counted(both)), drawn_again(both))


@pytest.mark.parametrize("stage", ["segmenter", "refined"])
def test_supervisions_are_compared_on_the_same_draws(project, stage):
    folder = "data/predictions" if stage == "segmenter" else "data/refined"
    guide, full = (pairs(project, f"{folder}/{name}", "val") for name in ("guide", "full"))
    one, other = (occurring(counted(both)) for both in (guide, full))
    one_drawn, other_drawn = drawn_again(guide), drawn_again(full)
    check("segment", f"{stage}_guide.val.mIoU", one, one_drawn)
    check("segment", f"{stage}_guide.val.FS%", one / other, one_drawn / other_drawn)
    difference = other_drawn - one_drawn
    check("segment", f"{stage}_full.val.mIoU_minus_guide", other - one, difference)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("group, link, folder", [case for case in LINKS if case[1] != "fused"])
def test_mean_iou_equals_torchmetrics(project, group, link, folder, split):
    """Fused labels are left out: torchmetrics accepts only classes as predictions."""
    if image_pairs := pairs(project, folder, split):
        index = JaccardIndex("multiclass", num_classes=3, ignore_index=VOID)
        truth, label = (
            torch.from_numpy(np.stack(part).astype(int)) for part in zip(*image_pairs, strict=True)
        )
        expected = 100 * index(label, truth).item()
        assert number(group, f"{link}.{split}.mIoU") == pytest.approx(expected, abs=0.0051)


def near_border(label, known, y, x, reach):
    """Whether the square around a pixel holds another label, or crosses the image's border."""
    for v in range(y - reach, y + reach + 1):
        for u in range(x - reach, x + reach + 1):
            if not (0 <= v < 24 and 0 <= u < 32):
                return True
            if np.where(known, label, VOID)[v, u] != label[y, x]:
                return True
    return False


@pytest.mark.parametrize("link, folder", [case[1:] for case in LINKS if case[0] == "segment"])
def test_boundary_iou_equals_counting_in_loops(project, link, folder):
    """The distance is 2 % of the diagonal of 40 px, rounded to 1 px."""
    right, either = np.zeros((2, 3))
    for truth, label in pairs(project, folder, "val"):
        known = truth != VOID
        for y, x in np.argwhere(known):
            at_truth, at_label = (near_border(a, known, y, x, 1) for a in (truth, label))
            t, p = truth[y, x], label[y, x]
            both = at_truth and at_label and t == p
            right[t] += both
            either[t] += at_truth
            either[p] += at_label and not both
    expected = 100 * np.mean(right / either)
    assert number("segment", f"{link}.val.boundary_IoU") == pytest.approx(expected, abs=0.0051)


@pytest.mark.parametrize("split", SPLITS)
def test_saliency_scores_equal_counting_in_loops(project, split):
    hits, false, missed = 0, 0, 0
    ious, errors = [], []
    for i in SPLITS[split]:
        grey = formats.read_grey(Layout(project).saliency("net") / f"i{i}.png").astype(float)
        truth = score_cases.truth(i)
        known = truth != VOID
        salient, object_ = np.round(grey * 255) >= 51, truth > 0
        hit, wrong, miss = (
            (a & known).sum() for a in (salient & object_, salient & ~object_, ~salient & object_)
        )
        hits, false, missed = hits + hit, false + wrong, missed + miss
        ious.append(hit / (hit + wrong + miss))
        errors.append(abs(grey - object_)[known].mean())
    name = f"saliency.{split}"
    expected = {
        "IoU": hits / (hits + false + missed),
        "mean_IoU": np.mean(ious),
        "MAE": np.mean(errors),
    }
    for score, value in expected.items():
        assert number("saliency", f"{name}.{score}") == pytest.approx(100 * value, abs=0.0051)


def average_precision(scores, right):
    """Average, over the right answers, the best precision at their recall or a higher one."""
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    precisions = [
        sum(right[j] for j in order[: n + 1]) / (n + 1) for n, i in enumerate(order) if right[i]
    ]
    return np.mean([max(precisions[k:]) for k in range(len(precisions))])


@pytest.mark.parametrize("split", SPLITS)
def test_average_precision_equals_its_definition(split):
    table = store.read("score_files")["seed/per_class.tsv"]["lines"]
    for index, name in enumerate(score_cases.CLASSES):
        ids = [i for i in SPLITS[split] if (i, name) != (5, "dog")]  # that dog is difficult
        right = [bool((score_cases.truth(i) == index + 1).any()) for i in ids]
        value = average_precision([score_cases.TAG_SCORES[i][index] for i in ids], right)
        assert f"{split}\t{name}\t{100 * value:.2f}\t" in "\n".join(table)


@pytest.mark.parametrize("split", SPLITS)
def test_the_calibration_error_equals_a_loop_over_bins(split):
    answers = [
        (score_cases.TAG_SCORES[i][k], bool((score_cases.truth(i) == k + 1).any()))
        for i in SPLITS[split]
        for k, name in enumerate(score_cases.CLASSES)
        if (i, name) != (5, "dog")  # difficult there
    ]
    error = 0.0
    for low in np.arange(15) / 15:
        inside = [a for a in answers if low <= a[0] < low + 1 / 15]
        error += abs(sum(chance for chance, _ in inside) - sum(right for _, right in inside))
    expected = pytest.approx(100 * error / len(answers), abs=0.0051)
    assert number("seed", f"classifier.{split}.ECE") == expected


@pytest.mark.parametrize("threshold", ["0.00", "0.20", "0.50", "0.51"])
def test_the_seed_curve_equals_cutting_the_maps_at_each_threshold(project, threshold):
    counts = np.zeros((3, 3))
    for i in SPLITS["val"]:
        maps, tags = formats.read_maps(Layout(project).maps / f"i{i}.npz")
        large = np.stack([enlarged(m / m.max()) for m in maps])
        label = np.where(large.max(axis=0) >= float(threshold), tags[large.argmax(axis=0)], 0)
        for t, p in zip(score_cases.truth(i).ravel(), label.ravel(), strict=True):
            if t != VOID:
                counts[t, p] += 1
    recall, precision = (np.diag(counts) / np.maximum(counts.sum(axis=a), 1) for a in (1, 0))
    (line,) = [
        line for line in store.read("score_files")["seed/curve.tsv"]["lines"]
        if line.startswith(threshold)
    ]  # fmt: skip
    expected = [np.mean(class_ious(counts)), precision[1:].mean(), recall[1:].mean()]
    background = [precision[0] if counts[:, 0].any() else 1.0, recall[0]]
    assert [float(v) for v in line.split("\t")[1:]] == pytest.approx(
        [100 * v for v in expected + background], abs=0.0051
    )


def enlarged(map_hw):
    """Enlarge a map four times, bilinearly between the centres of its positions."""
    out = np.zeros((24, 32), np.float32)
    for y in range(24):
        for x in range(32):
            v, u = np.clip((y + 0.5) / 4 - 0.5, 0, 5), np.clip((x + 0.5) / 4 - 0.5, 0, 7)
            top, left = int(v), int(u)
            rows, columns = (top, min(top + 1, 5)), (left, min(left + 1, 7))
            weights = np.outer([1 - v + top, v - top], [1 - u + left, u - left])
            out[y, x] = (weights * map_hw[np.ix_(rows, columns)]).sum()
    return out
