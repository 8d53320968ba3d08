"""The knobs that all random changes of pictures have in common."""

from dataclasses import dataclass

from ..input_error import InputError


@dataclass(frozen=True, kw_only=True)
class RandomChanges:
    """
    How often, and how much, pictures change at random in ways that leave the perceived emotion as it is. The strengths
    are our choice; 0 switches a change off.

    Args:
        mirror (`float`, *optional*, defaults to 0.5): probability of mirroring left and right.
        color (`float`, *optional*, defaults to 0.2):
            Brightness, contrast and colours change by up to this part.
        grey (`float`, *optional*, defaults to 0.1): probability of losing all colour.
        erase (`float`, *optional*, defaults to 0.1): probability that a box hides a part of the picture.

    Raises:
        `InputError`: one of them lies outside 0 to 1.
    """

    mirror: float = 0.5
    color: float = 0.2
    grey: float = 0.1
    erase: float = 0.1

    def __post_init__(self) -> None:
        self.check_parts("mirror", "color", "grey", "erase")

    def check_parts(self, *names: str) -> None:
        """
        Raise `InputError` for a knob that is no probability or part.

        Args:
            names (`str`): of the knobs.
        """
        for name in names:
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise InputError(f"`{name}` must lie between 0 (off) and 1, got {value}.")
