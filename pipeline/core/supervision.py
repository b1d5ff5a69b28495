"""The kinds of labels that a segmenter can learn from: the values of `segment.supervision`."""

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

Kind = Literal[
    "guide", "full", "oracle", "seed", "round2", "round3", "round4",
    "box", "box_i", "grabcut_plus", "box_round2", "box_round3", "box_i_round2", "box_i_round3",
    "grabcut_plus_round2", "grabcut_plus_round3",
]  # fmt: skip
SUPERVISIONS: tuple[str, ...] = get_args(Kind)
# each round, and the supervision whose segmenter makes its labels
ROUNDS = {"round2": "guide", "round3": "round2", "round4": "round3"}
BOXES = ("box", "box_i", "grabcut_plus")  # labels made from boxes
BOX_ROUNDS = {
    **{f"{kind}_round2": kind for kind in BOXES},
    **{f"{kind}_round3": f"{kind}_round2" for kind in BOXES},
}


def check_rounds(chosen: tuple[str, ...]) -> tuple[str, ...]:
    """Check that the supervision before each chosen round is chosen too.

    The segmenter of that supervision makes the labels of the round.

    Raises:
        ValueError: a round is listed without the supervision before it.
    """
    before = ROUNDS | BOX_ROUNDS
    for name in chosen:
        if before.get(name, name) not in chosen:
            raise ValueError(
                f"the segmenter of {before[name]} makes the labels of {name}; "
                f"add {before[name]} to the list"
            )
    return chosen


Supervision = Annotated[tuple[Kind, ...], Field(min_length=1), AfterValidator(check_rounds)]
