"""What every encoder must satisfy: a feature of its length for what it takes, one line for what it does not."""

import torch
from torch import Tensor

from ambidex.base.errors import ModelError, one_line
from ambidex.data.kinds import InputSpec
from ambidex.net.encoders import ENCODERS, Encoder
from ambidex.testing.expect import CheckError, Options, expect, expect_close, expect_same

Given = str | type[Encoder]
"""an encoder by its name or its class"""
SPECS = (
    InputSpec("spectrogram", (20, 31)),
    InputSpec("frames", (3, 3, 28, 36)),
    InputSpec("vector", (7,)),
    InputSpec("sequence", (9, 4)),
    InputSpec("tokens", (9, 2), vocabulary=23),
    InputSpec("waveform", (700,)),
)
_SAMPLES = 4


def check_encoder(encoder: Given, options: Options | None = None) -> list[str]:
    """Hold an encoder, by name or class, to the contract. Returns the kinds of input that it takes.

    Raises CheckError (an AssertionError) with one line.
    """
    specs = [spec for spec in SPECS if takes(encoder, spec, options)]
    expect(bool(specs), _what(encoder), f"one that takes a {' or '.join(s.kind for s in SPECS)}", "refusals")
    for spec in specs:
        feature(build(encoder, spec, options), what := f"{_what(encoder)}, {spec.kind} {[*spec.shape]}", spec)
        tokens(build(encoder, spec, options), what, spec)
        reduced(build(encoder, spec, options), what, spec)
        saved(encoder, spec, options)
    return [spec.kind for spec in specs]


def build(encoder: Given, spec: InputSpec, options: Options | None = None) -> Encoder:
    """A new encoder for inputs of `spec`, with the weights of seed 0."""
    torch.manual_seed(0)
    kind = ENCODERS.get(encoder) if isinstance(encoder, str) else encoder
    return kind(kind.Config(**(options or {})), spec)


def batch(spec: InputSpec, size: int = _SAMPLES) -> Tensor:
    """Normalised inputs [size, *shape]; of a ragged kind sample k has k + 1 steps, and zeros behind them."""
    x = torch.randn(size, *spec.shape, generator=torch.Generator().manual_seed(1))
    if not spec.owner.ragged:
        return x
    if spec.vocabulary is not None:
        x[..., 0] = 1 + torch.arange(x[..., 0].numel()).view(x.shape[:-1]) % (spec.vocabulary - 1)
    real = torch.arange(spec.shape[0]) < 1 + torch.arange(size)[:, None]
    return torch.where(real[..., None], torch.cat([x[..., :-1], torch.ones_like(x[..., -1:])], -1), 0)


def takes(encoder: Given, spec: InputSpec, options: Options | None = None) -> bool:
    """Whether it takes such inputs; where not, it must say so in one line (ModelError) when it is built."""
    try:
        build(encoder, spec, options)
    except ModelError as error:
        expect("\n" not in str(error), f"{_what(encoder)}, {spec.kind}", "a refusal in one line", error)
        return False
    except Exception as error:  # whatever such inputs do to it
        raise _failed(error, f"{_what(encoder)}, {spec.kind} {[*spec.shape]}", "an encoder", spec) from error
    return True


def feature(encoder: Encoder, what: str, spec: InputSpec) -> Tensor:
    """h [B, dim], finite gradients for every parameter; in evaluation a sample's feature is its own. Returns h."""
    x = batch(spec)
    torch.autograd.backward(_encoded(encoder.train(), x, what, spec).square().sum())
    for name, parameter in encoder.named_parameters():
        good = parameter.grad is not None and bool(torch.isfinite(parameter.grad).all())
        expect(good, f"{what}, parameter {name}", "a finite gradient", parameter.grad)
    encoder.eval()
    whole = _encoded(encoder, x, what, spec)
    alone = torch.cat([encoder(row) for row in torch.split(x, 1)])
    expect_close(f"{what}, samples one by one", alone, whole, rtol=1e-5, atol=1e-5)
    return whole


def _encoded(encoder: Encoder, x: Tensor, what: str, spec: InputSpec) -> Tensor:
    """h [B, dim]. Raises CheckError where there is none: perhaps because such inputs were not refused."""
    try:
        h: Tensor = encoder(x)
    except Exception as error:  # whatever such inputs do to it
        raise _failed(error, what, f"{[len(x), encoder.dim]}", spec) from error
    expect(h.shape == (len(x), encoder.dim), what, [len(x), encoder.dim], f"{[*h.shape]}; {_refusing(spec)}")
    return h


def _failed(error: Exception, what: str, expected: str, spec: InputSpec) -> CheckError:
    failure = f"{type(error).__name__}: {one_line(error, 200)}"
    return CheckError(f"{what}: expected {expected}, got {failure}; {_refusing(spec)}")


def _refusing(spec: InputSpec) -> str:
    return f"an encoder that cannot take {spec.kind} inputs raises ModelError when it is built"


def tokens(encoder: Encoder, what: str, spec: InputSpec) -> None:
    """Where it gives tokens: [B, L, dim] with a mask [B, L], beside the same feature as without, bit for bit."""
    if not encoder.has_tokens:
        return
    x = batch(spec)
    output = encoder.eval().encode(x)
    expect_same(f"{what}, beside its tokens", {"feature": output.pooled}, {"feature": encoder(x)})
    values, real = output.with_tokens().real_tokens()
    right = output.tokens is not None and values.shape == (*real.shape, encoder.dim) and len(real) == len(x)
    expect(
        right, f"{what}, tokens", f"[{len(x)}, L, {encoder.dim}] and a mask", [[*values.shape], [*real.shape]]
    )


def reduced(encoder: Encoder, what: str, spec: InputSpec) -> None:
    """In bf16 autocast it gives nearly the same feature."""
    x = batch(spec)
    whole = encoder.eval()(x)
    with torch.autocast("cpu", torch.bfloat16):
        expect_close(f"{what}, in bf16", encoder(x).float(), whole, rtol=0.1, atol=0.1)


def saved(encoder: Given, spec: InputSpec, options: Options | None = None) -> None:
    """All that it learned is in its state: another one into which that is loaded says the same, bit for bit."""
    first = build(encoder, spec, options)
    first.train()(batch(spec))  # running statistics move
    second = build(encoder, spec, options)
    with torch.no_grad():
        for parameter in second.parameters():
            parameter.add_(1)
    second.load_state_dict(first.state_dict())
    actual, expected = ({"feature": one.eval()(batch(spec))} for one in (second, first))
    expect_same(f"{_what(encoder)}, {spec.kind}, saved and loaded", actual, expected)


def _what(encoder: Given) -> str:
    return f"encoder {encoder if isinstance(encoder, str) else ENCODERS.name_of(encoder)}"
