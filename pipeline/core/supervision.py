"""The kinds of labels that a segmenter can learn from: the values of `segment.supervision`."""

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

Kind = Literal[
    "guide", "full", "oracle", "seed", "round2", "round3", "round4",
    "box", "box_i", "grabcut_plus", "box_round2", "box_round3", "box_i_round2", "box_i_round3",
    "grabcut_plus_round2", "grabcut_plus_round3", "brought", "corrected",
]  # fmt: skip
SUPERVISIONS: tuple[str, ...] = get_args(Kind)
# each round, and the supervision whose segmenter makes its labels
ROUNDS = {"round2": "guide", "round3": "round2", "round4": "round3"}
BOXES = ("box", "box_i", "grabcut_plus")  # labels made from boxes
BOX_ROUNDS = {
    **{f"{kind}_round2": kind for kind in BOXES},
    **{f"{kind}_round3": f"{kind}_round2" for kind in BOXES},
}
MASKS = ("brought", "corrected")  # labels that hold masks which the user brings
FROM_MASKS = ("full", "oracle", *MASKS)  # labels that masks of their images are a part of
# what each supervision needs in addition to images and tags; files of models and scores say this
_GUIDE, _BOXES = "saliency (the scores name its source)", "boxes of the objects"
LEARNED_FROM: dict[str, str] = {
    **dict.fromkeys(("guide", *ROUNDS), _GUIDE),
    "seed": "nothing else",
    "oracle": "masks of the truth, as saliency",
    "full": "masks of the truth",
    **dict.fromkeys((*BOXES, *BOX_ROUNDS), _BOXES),
    "brought": "masks that the user brought",
    "corrected": f"{_GUIDE}, and masks that the user corrected",
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
