"""What every fusion must satisfy: logits [B, C], and contributions that add up to them where it claims so."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ambidex.base.errors import ModelError
from ambidex.net.encoded import Encoded, EncodedFeatures
from ambidex.net.fusion import FUSIONS, Fusion, sum_contributions
from ambidex.testing.expect import Options, expect, expect_close, expect_same

Given = str | type[Fusion]
"""a fusion by its name or its class"""
CLASSES = 4
LENGTHS = ({"a": 3, "v": 5}, {"a": 3, "v": 5, "t": 5}, {"a": 5, "v": 5, "t": 5})
"""of the features, by modality"""


def check_fusion(fusion: Given, options: Options | None = None) -> list[str]:
    """Hold a fusion, by name or class, to the contract, with two and three modalities. Returns the checks' names.

    Raises CheckError (an AssertionError) with one line. It may refuse features of unequal length.
    """
    for lengths in LENGTHS:
        if refuses(fusion, lengths, options):
            expect(
                len(set(lengths.values())) > 1,
                f"fusion {fusion}",
                "one that takes features of one length",
                "none",
            )
            continue
        built, features = build(fusion, lengths, options), draw(lengths)
        logits(built, features)
        additive(built, features)
        tokens(built, features)
        saved(build(fusion, lengths, options), built, features)
    return ["logits", "additive", "tokens", "saved"]


def refuses(fusion: Given, dims: Mapping[str, int], options: Options | None = None) -> bool:
    """Whether it cannot be built for such features; it must say so in one line (ModelError)."""
    try:
        build(fusion, dims, options)
    except ModelError as error:
        expect("\n" not in str(error), f"fusion {fusion}", "a refusal in one line", error)
        return True
    return False


def build(fusion: Given, dims: Mapping[str, int], options: Options | None = None) -> Fusion:
    """In double precision, with biases that are not zero."""
    torch.manual_seed(0)
    kind = FUSIONS.get(fusion) if isinstance(fusion, str) else fusion
    built = kind(kind.Config(**(options or {})), dims, CLASSES)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))  # biases start at zero: make them count
    return built.double()


def draw(dims: Mapping[str, int], batch: int = 5) -> dict[str, Tensor]:
    """Features [B, D_m]."""
    torch.manual_seed(1)
    return {name: torch.randn(batch, dim, dtype=torch.float64) for name, dim in dims.items()}


def logits(fusion: Fusion, features: Mapping[str, Tensor]) -> None:
    """Logits [B, C] that every modality moves."""
    inputs = {m: h.clone().requires_grad_() for m, h in features.items()}
    output = fusion(inputs)
    rows = len(next(iter(features.values())))
    expect(output.shape == (rows, CLASSES), _what(fusion), [rows, CLASSES], [*output.shape])
    moves = torch.autograd.grad(output.square().sum(), list(inputs.values()), allow_unused=True)
    for modality, gradient in zip(inputs, moves, strict=True):
        moved = gradient is not None and bool(gradient.any())
        expect(moved, f"{_what(fusion)}, feature of {modality}", "a gradient", "none")


def additive(fusion: Fusion, features: Mapping[str, Tensor]) -> None:
    """Contributions [B, C], in order, sum to the logits exactly; each depends on its own feature alone."""
    if not fusion.additive:
        return
    what = f"{_what(fusion)}, contributions"
    parts = _contributions(fusion, features)
    expect([*parts] == [*features], what, [*features], [*parts])
    total = sum_contributions(parts)
    expect_same(f"{what}, their sum", {"logits": fusion(dict(features))}, {"logits": total})
    blocks = fusion.blocks()
    biases = _contributions(fusion, {m: 0 * x for m, x in features.items()})
    for modality, h in features.items():
        others = {m: h if m == modality else torch.zeros_like(x) for m, x in features.items()}
        alone = _contributions(fusion, others)[modality]
        expect_close(f"{what}, {modality} without the others", alone, parts[modality], rtol=1e-9, atol=1e-12)
        if blocks is not None:
            block, own = blocks[modality], biases[modality]
            shape = (CLASSES, h.shape[1])
            expect(block.shape == shape, f"{what}, block of {modality}", [*shape], [*block.shape])
            expect_close(f"{what}, block of {modality}", alone - own, h @ block.T, rtol=1e-5, atol=1e-8)


def tokens(fusion: Fusion, features: Mapping[str, Tensor]) -> None:
    """Of one that reads tokens: what stands in padding, and for a modality that a sample lacks, changes no bit."""
    if not fusion.reads_tokens:
        return
    draws = torch.Generator().manual_seed(2)
    plain, spoilt = {}, {}
    for place, (name, h) in enumerate(features.items()):
        values = torch.randn(len(h), 3, h.shape[1], generator=draws, dtype=h.dtype)
        mask = torch.arange(3) < 1 + torch.arange(len(h))[:, None] % 3
        present = torch.arange(len(h)) % (2 + place) != 1
        real = mask & present[:, None]
        plain[name] = Encoded(h, values, mask, present)
        spoilt[name] = Encoded(h, torch.where(real[..., None], values, torch.nan), mask, present)
    actual, expected = ({"logits": fusion(EncodedFeatures(parts))} for parts in (spoilt, plain))
    expect_same(f"{_what(fusion)}, without what is not there", actual, expected)


def saved(other: Fusion, fusion: Fusion, features: Mapping[str, Tensor]) -> None:
    """All that it learned is in its state: another one into which that is loaded says the same, bit for bit."""
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1)
    other.load_state_dict(fusion.state_dict())
    actual, expected = ({"logits": one.eval()(dict(features))} for one in (other, fusion))
    expect_same(f"{_what(fusion)}, saved and loaded", actual, expected)


def _what(fusion: Fusion) -> str:
    return f"fusion {FUSIONS.name_of(type(fusion))} of {len(fusion.dims)} modalities"


def _contributions(fusion: Fusion, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of a fusion that calls itself additive."""
    contributions = fusion.contributions(dict(features))
    expect(contributions is not None, f"{_what(fusion)}, contributions", "[B, C] per modality", contributions)
    return contributions or {}
