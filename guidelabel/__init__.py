"""GuideLabel: train a segmenter from image tags, and apply it.

    from guidelabel import Segmenter

    prediction = Segmenter.load("model")(image)

Importing this package loads no library and nothing of ours. A name loads what it needs.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.segmenter import Prediction, Segmenter

__all__ = ["Prediction", "Segmenter"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from app import __version__

        return __version__
    if name in ("Prediction", "Segmenter"):
        from app import segmenter

        return getattr(segmenter, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
