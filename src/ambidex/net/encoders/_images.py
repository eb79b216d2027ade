"""What the encoders share: spectrograms and frames as images, and the initialisation."""

from torch import Tensor, nn

from ambidex.data.kinds import InputSpec
from ambidex.net.encoders._inputs import refusal


def image_shape(spec: InputSpec, encoder: str) -> tuple[int, int, int]:
    """(channels, height, width) of the images in `spec`: a spectrogram is one with a single channel.

    Raises ModelError for an input without images; `encoder` is named in the message.
    """
    if spec.axes == ("frequency", "time"):
        return (1, spec.shape[0], spec.shape[1])
    if spec.axes == ("frame", "channel", "height", "width"):
        return (spec.shape[1], spec.shape[2], spec.shape[3])
    raise refusal(spec, encoder, "a spectrogram [frequency, time] or frames [count, channels, height, width]")


def fold(x: Tensor) -> Tensor:
    """Spectrogram [B, F, T] -> [B, 1, F, T]; frames [B, N, 3, H, W] -> [B*N, 3, H, W]."""
    return x.unsqueeze(1) if x.dim() == 3 else x.flatten(0, 1)


def initialise(module: nn.Module) -> None:
    """The field's initialisation: kaiming-normal (fan_out) convolutions, xavier-normal linear layers."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(part, nn.Linear):
            nn.init.xavier_normal_(part.weight)
            nn.init.zeros_(part.bias)
