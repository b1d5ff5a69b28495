"""All golden cases: the function that computes each, and its tolerances.

Each module says how its values were checked. `python -m tests.golden.make` compares and renews.
"""

from tests.golden import crf_cases, label_cases, map_cases, score_cases, training_cases
from tests.golden.store import Case

SLOW = {"first_losses_of_the_default_net"}

CASES = {
    "crf_marginals": Case(crf_cases.compute, abs=1e-5),
    "crf_labels": Case(crf_cases.compute_labels),
    "fused_labels": Case(label_cases.compute_fused),
    "guide_labels": Case(label_cases.compute_guide),
    "thresholds": Case(label_cases.compute_thresholds),
    "cues": Case(label_cases.compute_cues),
    "drawn_tags": Case(label_cases.compute_draws),
    "classifier": Case(map_cases.compute_classifier, rel=1e-4, abs=1e-6),
    "inference": Case(map_cases.compute_inference, rel=1e-4, abs=1e-6),
    "class_maps": Case(map_cases.compute_maps),
    "boxes": Case(map_cases.compute_boxes),
    "saliency": Case(map_cases.compute_saliency, rel=1e-5, abs=1e-5),
    "score_files": Case(score_cases.compute_files),
    "score_details": Case(score_cases.compute_details, abs=1e-9),
    "first_losses": Case(training_cases.compute, rel=1e-4, trains=True),
    "first_losses_of_the_default_net": Case(training_cases.compute_default, rel=0.05, trains=True),
}
