"""Guide labels, dense CRF and evaluation, each against a plain way to compute the same."""

from pathlib import Path

import numpy as np
from PIL import Image
from skimage.measure import label as number

from benchmarks.data import CLASSES, cues, inside, project
from benchmarks.measure import Row, compare
from pipeline.core import formats, runtime
from pipeline.core.arrays import CONTESTED
from pipeline.core.maps import resize
from pipeline.core.params import read_yaml
from pipeline.core.samples import Sample
from pipeline.crf import dense
from pipeline.crf.config import Crf
from pipeline.guide import diffusion, rules
from pipeline.guide.config import Diffuse, Fuse
from pipeline.scores.labels import counting
from pipeline.scores.shared.scored import read_scored

BASE = read_yaml(Path("presets/shapes.yaml"))
FUSE = Fuse.model_validate(BASE["fuse"])
DIFFUSE = Diffuse.model_validate(BASE["diffuse"])
DEEPLAB = Crf.model_validate(BASE["crf"]["deeplab"])


def _plain_guide(image: np.ndarray, seeds: np.ndarray, salient: np.ndarray) -> np.ndarray:
    """Compute guide labels as the released code does: pair by pair, and a CRF on every image."""
    out = np.zeros(seeds.shape, np.uint8)
    regions = number(salient, connectivity=2)
    parts = []
    for c in np.unique(seeds[seeds > 0]):
        ids = number(seeds == c, connectivity=2)
        parts += [(c, ids == i) for i in range(1, ids.max() + 1)]
    for r in range(1, regions.max() + 1):
        region = regions == r
        claims = []
        for c, part in parts:
            shared, whole = (part & region).sum(), (part | region).sum()
            if shared / whole > 0:
                claims.append(c)
        if len(set(claims)) == 1:
            out[region] = claims[0]
    classes = np.unique(seeds[seeds > 0])
    if len(classes):
        maps = np.stack([diffusion._blurred(seeds == c, DIFFUSE.blur_sigma_px) for c in classes])
        winner = classes[dense.dense_crf(image, -maps, DEEPLAB).argmax(0)]
        contested = (out == 0) & salient
        out[contested] = winner[contested]
    return out


def guides() -> list[Row]:
    """Compare fusion and diffusion, from arrays to labels."""
    with project(24) as (layout, samples):
        rng, work = np.random.default_rng(0), []
        for s in samples:
            label = formats.read_label(layout.labels("full") / f"{s.id}.png")
            seeds, salient = cues(label, rng)
            work.append((formats.read_image(s.image), seeds, salient >= 0.5))

        def ours(shrink: int) -> int:
            options = DIFFUSE.model_copy(update={"shrink": shrink})
            for image, seeds, salient in work:
                fused = rules.fuse(seeds, salient, FUSE, tags=[1], rng=rng)
                diffusion.diffuse(image, fused, options, DEEPLAB)
            return len(work)

        def plain() -> int:
            for image, seeds, salient in work:
                _plain_guide(image, seeds, salient)
            return len(work)

        contested = sum((rules.fuse(b, c, FUSE, tags=[1], rng=rng).label_HW == CONTESTED).any()
                        for _, b, c in work)  # fmt: skip
        names = {"guide labels": 1, "guide labels, diffuse.shrink 2": 2}
        return [
            compare(name, lambda shrink=shrink: ours(shrink), plain, unit="images/s", reach="10",
                    peer="pairs of components, CRF everywhere", repeats=5,
                    note=f"{contested} of {len(work)} images need the CRF")
            for name, shrink in names.items()
        ]  # fmt: skip


def _refine(job: tuple[Path, Path]) -> None:
    image, logits = job
    dense.label_of(formats.read_image(image), formats.read_logits(logits), DEEPLAB)


def crf_pool() -> list[Row]:
    """Compare the dense CRF over a split, in a process pool and in one process."""
    with project(24) as (layout, samples):
        rng = np.random.default_rng(0)
        jobs = []
        for s in samples:
            path = layout.logits("guide") / f"{s.id}.npz"
            formats.write_logits(path, rng.normal(size=(6, s.height_px // 8, s.width_px // 8)))
            jobs.append((s.image, path))

        def pool() -> int:
            return len(list(runtime.pool_map(_refine, jobs, title="refine")))

        def alone() -> int:
            return len(list(map(_refine, jobs)))

        split = compare("dense CRF over a split", pool, alone, peer="one process", unit="images/s",
                        reach="1.9 on 2 cores", repeats=5)  # fmt: skip
        return [split, _crf_of_21(samples[:8])]


def _crf_of_21(samples: list[Sample]) -> Row:
    """Compare the CRF over the 5 classes that an image shows, and over all 21 of VOC."""
    rng, likely = np.random.default_rng(0), [0, 3, 8, 12, 15]
    work = []
    for s in samples:
        logits = np.full((21, s.height_px // 8, s.width_px // 8), -8, np.float32)
        logits[likely] = rng.normal(size=(5, *logits.shape[1:]))
        work.append((formats.read_image(s.image), logits))

    def present() -> list[np.ndarray]:
        return [dense.label_of(image, logits, DEEPLAB) for image, logits in work]

    def every() -> list[np.ndarray]:
        out = []
        for image, logits in work:
            height, width = image.shape[:2]
            p = dense.softmax(resize(logits, height_px=height, width_px=width))
            out.append(dense.dense_crf(image, dense.energy_of(p), DEEPLAB).argmax(0))
        return out

    differing = np.mean([(a != b).mean() for a, b in zip(present(), every(), strict=True)])
    return compare("dense CRF, 5 of 21 classes present", lambda: len(present()),
                   lambda: len(every()), peer="over all 21", unit="images/s", reach="", repeats=3,
                   note=f"{differing:.2e} of the pixels differ")  # fmt: skip


def evaluation() -> list[Row]:
    """Compare evaluation with decoding the PNGs alone, each in one process."""
    with project(64) as (layout, _), inside(layout.root):
        scored = read_scored(layout.samples, layout.truth)
        folders = {"guide": layout.labels("full")}

        def ours(boundary: bool) -> int:
            for sample, mask in scored:
                counting._one((folders, sample.id, mask, 1 + len(CLASSES), boundary))
            return 2 * len(scored)

        def decode() -> int:
            for _ in range(2):
                for _, mask in scored:
                    np.asarray(Image.open(mask))
            return 2 * len(scored)

        names = {"evaluation": False, "evaluation with boundary IoU": True}
        return [
            compare(name, lambda boundary=boundary: ours(boundary), decode, unit="PNGs/s",
                    peer="decoding the PNGs", reach="" if boundary else "0.7")
            for name, boundary in names.items()
        ]  # fmt: skip
