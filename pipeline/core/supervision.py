"""The kinds of labels a segmenter can learn from: the values of `segment.supervision`."""

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

Kind = Literal["guide", "full", "oracle", "seed", "round2", "round3", "round4"]
SUPERVISIONS: tuple[str, ...] = get_args(Kind)
ROUNDS = {"round2": "guide", "round3": "round2", "round4": "round3"}  # each relabelled by which


def check_rounds(chosen: tuple[str, ...]) -> tuple[str, ...]:
    """Require each round's predecessor, whose segmenter makes its labels.

    Raises:
        ValueError: a round is listed without the supervision before it.
    """
    for name in chosen:
        if ROUNDS.get(name, name) not in chosen:
            raise ValueError(
                f"{name} learns from the segmenter of {ROUNDS[name]}; add {ROUNDS[name]}"
            )
    return chosen


Supervision = Annotated[tuple[Kind, ...], Field(min_length=1), AfterValidator(check_rounds)]
