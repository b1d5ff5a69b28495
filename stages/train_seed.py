"""Train the image classifier on tags alone."""

from torch import Tensor, nn

from pipeline import classifier, config, fit, formats, loader, nets, params, runtime
from pipeline.layout import Layout
from stages import _run


def run(layout: Layout, *, seed: config.SeedModel, random_seed: int) -> None:
    """Write the classifier's weights, its description and its loss curve."""
    classes = formats.read_json(layout.classes)
    samples = [s for s in formats.read_samples(layout.samples) if s.split == "train"]
    targets = loader.tag_vectors(samples, classes)
    runtime.say(f"train_seed: {len(samples)} images, {len(classes)} classes, {runtime.describe()}")
    runtime.seed_all(random_seed)
    spec = nets.classifier_spec(seed, classes)
    net = nets.build(spec, weights=seed.weights)
    views = loader.Views(
        [s.image for s in samples],
        targets,
        seed.train,
        random_seed,
        chance=loader.balanced(targets) if seed.balanced else None,
    )
    compare = classifier.LOSSES[seed.loss]

    def loss_of(net: nn.Module, image: Tensor, tags_NK: Tensor) -> Tensor:
        return compare(net.scores(image), tags_NK)  # type: ignore[operator]

    about = params.fingerprint(seed, str(random_seed))
    resume = _run.resume_folder(layout, weights=seed.weights, inputs=[layout.samples], about=about)
    losses = fit.fit(net, views, loss_of, resume=resume, what="train_seed")
    nets.save(layout.seed_model, net, spec, losses)


if __name__ == "__main__":
    _run.main(run, shared=True, seed=("seed", config.SeedModel), random_seed=("random_seed", int))
