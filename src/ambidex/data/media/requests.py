"""What can be asked of a media file: its sound, or some of its pictures. Equal requests get one answer."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Sound:
    """The first `seconds` of the sound, the mean of all channels at `sample_rate` Hz."""

    sample_rate: int
    seconds: float


@dataclass(frozen=True)
class Pictures:
    """`count` pictures at equal distances, of `size` x `size` pixels."""

    count: int
    size: int
    orientation: Literal["upright", "stored"] = "upright"
    """turned as the file says, or left as stored"""
    still: bool = False
    """refuse what holds more than one picture"""
    pairs: bool = False
    """each with the picture after it: twice as many"""


Request = Sound | Pictures
