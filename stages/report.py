"""Write the page: scores of every link, charts, and a gallery of what the links made of each image.

Also write panels of the best, worst and random images for `dvc plots`, and the headline scores.
"""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from pipeline.core import formats, runtime
from pipeline.core.layout import SCORED, Layout
from pipeline.core.params import fingerprint
from pipeline.core.samples import Sample, read_samples, read_tag_scores, read_truth
from pipeline.core.supervision import Supervision
from pipeline.report import content, gallery, headline, images, layers, links, page, picks
from pipeline.report.config import Report
from stages import _resume, _run

SLICES: _run.Slices = {
    "report": ("report", Report),
    "source": ("saliency.source", str),
    "threshold": ("fuse.saliency_threshold", Annotated[float, Field(ge=0, le=1)]),
    "supervision": ("segment.supervision", Supervision),
    "random_seed": ("random_seed", int),
}


def run(
    layout: Layout,
    *,
    report: Report,
    source: str,
    threshold: float,
    supervision: tuple[str, ...],
    random_seed: int,
) -> None:
    """Write index.html, its pictures, the panels and the headline scores."""
    samples = read_samples(layout.samples)
    _run.require(*map(layout.scores, SCORED))
    scores = links.read_scores(map(layout.scores, SCORED))
    inputs = images.Inputs(
        layout, source, supervision[0], read_truth(layout.truth), threshold,
        layers.of_page(supervision),
    )  # fmt: skip
    shown = picks.choose(samples, report.images, random_seed=random_seed)
    _draw_all(inputs, shown)
    judged = _judge_all(inputs, shown)
    scored = [(s.sample, s.facts.score) for s in judged]
    images.write_panels(inputs, picks.pick(scored, report, random_seed=random_seed))
    parts = content.read(
        layout, scores, source=source, supervision=supervision, samples=samples, shown=judged
    )
    html = page.render(parts)
    formats.replace_file(layout.report / "index.html", lambda f: f.write(html.encode()))
    numbers = json.dumps(headline.headline(scores, supervision[0]), indent=2) + "\n"
    formats.replace_file(layout.headline, lambda f: f.write(numbers.encode()))


def _draw_all(inputs: images.Inputs, shown: Sequence[Sample]) -> None:
    """Write the pictures of the gallery. A killed run continues after the last finished image.

    Only some runs have brought masks. So dvc.yaml cannot name them as a dependency of the page, but
    the segmenter that learned from them is one.
    """
    here = inputs.layout
    folders = [here.maps, here.saliency(inputs.source), here.seeds, here.labels("guide"),
               here.labels("full"), here.refined(inputs.supervision)]  # fmt: skip
    folders += [here.labels("brought")] if "brought" in inputs.layer_names else []
    _resume.process_images(
        here,
        functools.partial(Drawer, inputs),
        shown,
        outs=[here.report / name for name in images.FOLDERS],
        inputs=[here.truth, *(f for f in folders if f.exists())],
        params_key=fingerprint(
            inputs.source, inputs.supervision, str([s.id for s in shown]), *inputs.layer_names
        ),
        packed=False,
    )


@dataclass(frozen=True)
class Drawer:
    """Draws the pictures of images in `work`."""

    inputs: images.Inputs
    work: Layout

    def __call__(self, chunk: Sequence[Sample]) -> None:
        """Draw the pictures of a chunk."""
        for sample in chunk:
            images.draw(sample, inputs=self.inputs, work=self.work)


def _judge_all(inputs: images.Inputs, shown: Sequence[Sample]) -> list[gallery.Shown]:
    classes: list[str] = formats.read_json(inputs.layout.classes)
    probability = read_tag_scores(inputs.layout.tag_scores, classes)
    jobs = [(s, probability[s.id], [classes.index(t) + 1 for t in s.tags]) for s in shown]
    judge = functools.partial(images.judge, inputs=inputs)
    return list(runtime.pool_map(judge, jobs, title="judge images"))
