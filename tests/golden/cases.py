"""All golden cases: what computes them and how close a value must come.

Each module says how its values were checked. `python -m tests.golden.make` compares and renews.
"""

from tests.golden import crf_cases, label_cases
from tests.golden.store import Case

SLOW: set[str] = set()

CASES = {
    "crf_marginals": Case(crf_cases.compute, abs=1e-5),
    "crf_labels": Case(crf_cases.compute_labels),
    "fused_labels": Case(label_cases.compute_fused),
    "guide_labels": Case(label_cases.compute_guide),
    "thresholds": Case(label_cases.compute_thresholds),
    "cues": Case(label_cases.compute_cues),
    "drawn_tags": Case(label_cases.compute_draws),
}
