"""The kinds of labels that a segmenter can learn from: the values of `segment.supervision`."""

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

Kind = Literal["guide", "full", "oracle", "seed", "round2", "round3", "round4"]
SUPERVISIONS: tuple[str, ...] = get_args(Kind)
# each round, and the supervision whose segmenter makes its labels
ROUNDS = {"round2": "guide", "round3": "round2", "round4": "round3"}


def check_rounds(chosen: tuple[str, ...]) -> tuple[str, ...]:
    """Check that the supervision before each chosen round is chosen too.

    The segmenter of that supervision makes the labels of the round.

    Raises:
        ValueError: a round is listed without the supervision before it.
    """
    for name in chosen:
        if ROUNDS.get(name, name) not in chosen:
            raise ValueError(
                f"the segmenter of {ROUNDS[name]} makes the labels of {name}; "
                f"add {ROUNDS[name]} to the list"
            )
    return chosen


Supervision = Annotated[tuple[Kind, ...], Field(min_length=1), AfterValidator(check_rounds)]
