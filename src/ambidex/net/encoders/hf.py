"""Any model of Hugging Face's `transformers` in a local folder (`AutoModel`): text, pictures, spectrograms, sound.

The feature is the mean of the real tokens of the last layer, its first token, or what the model's pooler makes of that.
The model's own description is kept in the saved model, so that a saved model needs the library but not the folder.
"""

from pathlib import Path
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from ambidex.base.errors import ModelError
from ambidex.configuration.params import Section
from ambidex.data.kinds import InputSpec, Kind
from ambidex.net.attention import pooled_mean
from ambidex.net.encoded import Encoded
from ambidex.net.encoders import Encoder
from ambidex.net.encoders._huggingface import build, description_of, weights_of
from ambidex.net.encoders._inputs import refusal
from ambidex.net.encoders._words import AXES as WORDS
from ambidex.net.encoders._words import ids_of
from ambidex.net.weights import fill

_SPECTROGRAM, _FRAMES, _SOUND = (
    ("frequency", "time"),
    ("frame", "channel", "height", "width"),
    ("sample",),
)
_HALF = 0.5
"""deviation of the spectrograms that AST was trained on: its extractor divides by twice the data's own"""


class HuggingFace(Encoder):
    """Tokens, frames, a spectrogram or a waveform, whichever the model reads -> feature [B, D] and tokens [B, L, D]."""

    class Config(Section):
        """Which model, and how it is used."""

        folder: str = Field(
            min_length=1,
            description="local folder with config.json and .safetensors, as `save_pretrained` writes it",
        )
        pooling: Literal["mean", "first", "pooler"] = Field(
            "mean",
            description="the feature: mean of the real tokens, the first token, or the model's own pooler",
        )
        frozen: bool = Field(False, description="keep the published weights as they are, whatever the regime")
        description: dict[str, Any] | None = Field(
            None, description="the model's config.json, which training fills in; missing: read from `folder`"
        )

    has_tokens = True
    alone = True
    scale: Tensor
    shift: Tensor

    def __init__(self, config: Config, spec: InputSpec) -> None:
        super().__init__(config, spec)
        described = config.description or description_of(Path(config.folder))
        self.net: Any = build(described)
        self.dim = int(self.net.config.hidden_size)
        _check(spec, self.net)
        if config.pooling == "pooler" and getattr(self.net, "pooler", None) is None:
            raise ModelError("encoder 'hf': pooling 'pooler': the model has none; use mean or first")
        if config.pooling != "pooler" and hasattr(self.net, "pooler"):
            self.net.pooler = None  # unused weights would train on nothing
        if config.frozen:
            self.net.requires_grad_(False)
        scale, shift = _scaling(spec, described)
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    @classmethod
    def check_kind(cls, config: Config, kind: Kind) -> None:
        """Refuse hashed words: their ids mean nothing to a model that learned the ids of its own tokenizer."""
        if kind.axes == WORDS and getattr(kind.config, "tokenizer", None) is None:
            raise ModelError(
                "encoder 'hf': its words are hashed, to ids that no published model knows; name the model's folder "
                "as the `tokenizer` of the kind `text` too"
            )

    @classmethod
    def recorded(cls, config: Config) -> dict[str, Any]:
        """The model's description, so that a saved model can be built without the folder."""
        return {"description": config.description or description_of(Path(config.folder))}

    def load_published(self) -> None:
        """Load the folder's weights. Raises ModelError where they are missing or do not fit."""
        folder = Path(self.config.folder)
        fill(self.net, weights_of(folder, self.net), folder, "expected the weights of its config.json")

    def train(self, mode: bool = True) -> Self:
        """Of frozen weights dropout is off as well."""
        return super().train(mode and not self.config.frozen)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, *spec.shape], normalised float -> h [B, D]."""
        return self.encode(x).pooled

    def encode(self, x: Tensor) -> Encoded:
        """x [B, *spec.shape], normalised float -> h [B, D], tokens [B, L, D] and which of them are real."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.config.frozen):
            return self._encoded(x)

    def _encoded(self, x: Tensor) -> Encoded:
        inputs, real = self._inputs(x)
        output = self.net(**inputs)
        tokens: Tensor = output.last_hidden_state
        if tokens.dim() == 4:  # maps of a convolutional net
            tokens = tokens.flatten(2).transpose(1, 2)
        first, count = tokens[:, 0], len(tokens) // len(x)
        tokens = tokens.reshape(len(x), -1, self.dim)  # those of all frames
        if self.config.pooling == "mean":
            return Encoded(pooled_mean(tokens, real), tokens, real)
        one = output.pooler_output if self.config.pooling == "pooler" else first
        return Encoded(one.view(len(x), count, self.dim).mean(1), tokens, real)

    def _inputs(self, x: Tensor) -> tuple[dict[str, Tensor], Tensor | None]:
        """What the model takes, by name, and which of its tokens are real."""
        if self.spec.axes == WORDS:
            ids, real = ids_of(x)
            return {"input_ids": ids, "attention_mask": real.long()}, real
        x = x * self.scale + self.shift
        if self.spec.axes == _FRAMES:
            size = _side(self.net.config)
            images = x.flatten(0, 1)
            if size is not None and images.shape[-2:] != size:
                images = F.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)
            return {"pixel_values": images}, None
        if self.spec.axes == _SPECTROGRAM:
            steps = self.net.config.max_length
            x = F.pad(x.transpose(1, 2), (0, 0, 0, max(0, steps - x.shape[2])))[:, :steps]
        return {"input_values": x}, None


def _check(spec: InputSpec, net: Any) -> None:
    """Raise ModelError where the model cannot take inputs of `spec`."""
    config = net.config
    if net.main_input_name == "input_ids":
        if spec.axes != WORDS or spec.vocabulary is None:
            raise refusal(spec, "hf", "token ids [length, 2], which this model reads")
        most = getattr(config, "max_position_embeddings", spec.shape[0])
        for what, given, limit in (
            ("ids", spec.vocabulary, config.vocab_size),
            ("tokens", spec.shape[0], most),
        ):
            if given > limit:
                raise ModelError(
                    f"encoder 'hf': up to {given:,} {what}, the model knows {limit:,}; give the kind `text` the "
                    "`tokenizer` of the model's folder, and a smaller `length` where it says so"
                )
    elif net.main_input_name == "pixel_values":
        if spec.axes != _FRAMES or spec.shape[1] != getattr(config, "num_channels", 3):
            raise refusal(spec, "hf", "frames [count, channels, height, width], which this model reads")
    elif hasattr(config, "num_mel_bins") and hasattr(config, "max_length"):
        if spec.axes != _SPECTROGRAM or spec.shape[0] != config.num_mel_bins:
            raise refusal(spec, "hf", f"a spectrogram [{config.num_mel_bins}, time], which this model reads")
    elif spec.axes != _SOUND:
        raise refusal(spec, "hf", "a waveform [samples], which this model reads")


def _scaling(spec: InputSpec, described: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """From what the kind normalised to what the model was trained on: factor and summand, laid against a sample."""
    if spec.axes == _SPECTROGRAM:
        return torch.tensor(_HALF), torch.tensor(0.0)
    if spec.axes != _FRAMES or not spec.mean or "image_mean" not in described:
        return torch.tensor(1.0), torch.tensor(0.0)
    mean, std, theirs, spread = (
        torch.tensor(values).reshape(-1, 1, 1)
        for values in (spec.mean, spec.std, described["image_mean"], described["image_std"])
    )
    return std / spread, (mean - theirs) / spread


def _side(config: Any) -> tuple[int, int] | None:
    """Height and width of the pictures that the model takes; None: any."""
    size = getattr(config, "image_size", None)
    return (size, size) if isinstance(size, int) else None if size is None else tuple(size)  # type: ignore[return-value]
