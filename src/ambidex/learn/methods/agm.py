"""AGM: adaptive gradient modulation, by what each modality adds to the output (Shapley responses).

T = the training pass; P_C = the model in evaluation mode where the encoders of the modalities outside C see zeros in
place of the normalised input. With v(C) = P_C, v(all) = T and v(nobody) = 0, in step t = 1, 2, ...:

    phi_m = sum over C without m of |C|! (M - |C| - 1)! / M! (v(C + m) - v(C));  sum_m phi_m = T
    s_m = mean_i -log max(softmax(phi_m)[i, y_i], 1e-8)                       a loss: less is stronger
    r_m = exp(mean_{j != m} s_j - s_m);  tau_m = exp(mean_{j != m} S_j - S_m)     S: running mean, at first 0
    kappa_m = exp(alpha min(tau_m - r_m, 10));  then S_m <- S_m (t - 1) / t + s_m / t

Who leads by more than on average has kappa < 1. kappa has no bound but e^(10 alpha), hence the clipping: where an entry
of the gradients of the head's weights exceeds `clip_above`, all gradients are clipped to norm `clip_norm`.

Three modes, which compute different quantities:

- `hook` (the paper's): the gradient of L = CE(sum_m phi_m, y) through phi_m is multiplied by kappa_m, and P_C has a
  gradient as T has. With g = dL/dT, T receives mean(kappa) g, and P_C the part |C|! (M - |C|)! / M! of
  (mean of kappa in C - mean of kappa outside) g. For M = 2 and a late fusion without batch norm and dropout, encoder
  a's gradient is kappa_a G(x_a) - (kappa_a - kappa_v) / 2 G(0), G(u) = that of encoder a on input u under W_a^T g;
  the head's block W_a likewise with h_a, and its bias is scaled by mean(kappa).
- `scale`: encoder m's gradient is multiplied by kappa_m: the leading term of that, exact where zeros have no gradient,
  as in the first convolution. P_C has no gradient, and the head's is not scaled.
- `cached`: as `scale`, with s_m from the training pass's own features in place of evaluation passes (zeros alone are
  encoded in evaluation mode, again every `zeros_every` steps): other values wherever batch norm or dropout make the two
  modes differ.

Zeroed inputs are not zeroed features: P_C holds what the encoders make of zeros, one sample of which is enough. Where
an encoder normalises by the sample (group norm), zeros have no variance to divide by, and G(0) can be hundreds of times
G(x): in mode hook use batch norm, as the paper does, or keep the clipping.
"""

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from ambidex.base.errors import ModelError
from ambidex.learn.loop.responses import Responses, encode_resting, encode_zeros
from ambidex.learn.method import Method, MethodConfig, Needs, Run, Step
from ambidex.learn.methods._scores import over_step
from ambidex.net.encoded import joined, presence
from ambidex.net.fusion import Features
from ambidex.net.model import Architecture, MultimodalNet

LARGEST_GAP = 10.0
"""of tau - r: more does not count"""


class AGM(Method):
    """Weaken the gradient through the response of whichever modality leads by more than it did on average so far."""

    class Config(MethodConfig):
        """Defaults: the authors' for CREMA-D."""

        mode: Literal["hook", "scale", "cached"] = Field(
            "hook", description="hook: as published; scale, cached: encoders alone, at less cost"
        )
        alpha: float = Field(1.5, ge=0, description="strength of the modulation")
        start: int = Field(0, ge=0, description="first epoch of modulation")
        end: int | None = Field(None, ge=0, description="last epoch of it, inclusive; null: the last of all")
        clip_above: float | None = Field(
            1.0, gt=0, description="clip where a gradient's entry in the head exceeds this; null: never"
        )
        clip_norm: float = Field(1.0, gt=0, description="norm that all gradients are then clipped to")
        zeros_every: int = Field(
            10, ge=1, description="mode cached: steps after which zeros are encoded again"
        )

        @model_validator(mode="after")
        def _window(self) -> "AGM.Config":
            if self.end is not None and self.end < self.start:
                raise ValueError(f"end ({self.end}) must not be before start ({self.start})")
            return self

    config: Config
    needs = Needs(min_modalities=2, max_modalities=6, missing=True, pooled="values features of zeros")
    early: ClassVar = {"clip_above": 1e-6}  # clip in every step, which all ranks must agree on
    neutral = (
        *({"alpha": 0.0, "clip_above": None, "mode": mode} for mode in ("hook", "scale", "cached")),
        {"start": 1_000},
    )
    variants: ClassVar = ({"mode": "scale"}, {"mode": "cached", "zeros_every": 2})

    def waits(self) -> int:
        """Until the window."""
        return self.config.start

    def check(self, architecture: Architecture, frozen: bool) -> None:
        """Modes scale and cached do nothing to the head."""
        super().check(architecture, frozen)
        if frozen and self.config.mode != "hook":
            raise ModelError(
                f"method agm: mode '{self.config.mode}' scales gradients of the encoders alone, and they are frozen; "
                "use mode: hook, or regime scratch or pretrained"
            )

    def setup(self, run: Run) -> None:
        """Begin without an average."""
        device = next(run.model.parameters()).device
        self.responses = Responses(run.modalities, device)
        self.means, self.steps = torch.zeros(len(run.modalities), device=device), 0
        self.judged = torch.zeros_like(self.means)
        """steps in which a sample had m; kept where samples lack modalities"""
        self.sums = torch.zeros_like(self.means)
        """losses of this step's samples so far (modes scale and cached)"""
        self.absent: Features | None = None
        """features of zeros (mode cached)"""
        self.kept: tuple[Features, Features] | None = None
        """evaluation features with gradient, of this step's inputs and of zeros (mode hook, no micro-batches)"""

    def surveys(self, run: Run) -> bool:
        """In mode hook, where kappa must be known before the first backward pass."""
        return self.config.mode == "hook" and self.active(run)

    def survey(self, step: Step) -> None:
        """kappa of the whole step."""
        model, single = step.run.model, len(step.parts) == 1
        with torch.set_grad_enabled(single):  # then the objective goes on from these
            encodings = [
                encode_resting(model, *inputs)
                for inputs in zip(step.parts, _presence_by_part(step), strict=True)
            ]
        self.kept, absent = (encodings[0] if single else None), encodings[0][1]
        values = self.responses.values(
            model, joined([features for features, _ in encodings]), absent, step.logits
        )
        self.kappas = self._judge(step, self.responses.losses(values, step.labels, step.present()))

    def step(self, step: Step) -> None:
        """The ordinary one, with nothing kept of the one before."""
        self.sums, self.kept = torch.zeros_like(self.sums), None
        if self.steps % self.config.zeros_every == 0:
            self.absent = None
        super().step(step)

    def objective(self, step: Step) -> dict[str, Tensor]:
        """The fused loss; in mode hook its gradient goes through the responses."""
        if not self.active(step.run):
            return super().objective(step)
        model, responses = step.run.model, self.responses
        if self.config.mode == "hook":
            present, absent = self.kept or encode_resting(model, step.inputs, presence(step.features))
            values = responses.values(model, present, absent, step.logits)
            return {"task": step.cross_entropy(responses.modulated(values, self.kappas))}
        with torch.no_grad():
            present, absent = self._seen(step)
            values = responses.values(model, present, absent, step.logits)
            self.sums = self.sums + responses.losses(values, step.labels, step.present())
        return super().objective(step)

    def gradients(self, step: Step) -> None:
        """Scale the encoders' gradients (modes scale and cached), then clip."""
        if not self.active(step.run):
            return
        model = step.run.model
        if self.config.mode != "hook":
            for name, kappa in zip(model.modalities, self._judge(step, self.sums), strict=True):
                own = [p.grad for p in model.own(name) if p.grad is not None]
                if own:
                    torch._foreach_mul_(own, kappa.to(own[0].dtype))
        self._clip(model)

    def active(self, run: Run) -> bool:
        """Whether `run.epoch` lies in the window."""
        return self.config.start <= run.epoch and (self.config.end is None or run.epoch <= self.config.end)

    def coefficients(self, losses: Tensor, scored: Tensor | None = None) -> Tensor:
        """s [M] of a step -> kappa [M]; then s joins the running mean.

        `scored` [M], bool: of which modalities the step had samples. The others have kappa 1 and keep their mean.
        """
        seen = None if scored is None else scored & (self.judged > 0)
        gap = leads(self.means, seen) - leads(losses, scored)
        self.steps += 1
        if scored is None:
            self.means = self.means + (losses - self.means) / self.steps
        else:
            self.judged = self.judged + scored
            moved = self.means + (losses - self.means) / self.judged.clamp_min(1)
            self.means = torch.where(scored, moved, self.means)
        return torch.exp(self.config.alpha * gap.clamp(max=LARGEST_GAP))

    def state_dict(self) -> dict[str, Any]:
        """The running means, the number of steps in them, and features of zeros."""
        return {"means": self.means, "steps": self.steps, "judged": self.judged, "absent": self.absent}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of state_dict."""
        self.means, self.steps = state["means"].to(self.means.device), state["steps"]
        self.judged = state["judged"].to(self.means.device)
        if (absent := state["absent"]) is not None:
            self.absent = {m: h.to(self.means.device) for m, h in absent.items()}

    def _seen(self, step: Step) -> tuple[Features, Features]:
        """What the responses of modes scale and cached are valued on."""
        if self.config.mode == "scale":
            return encode_resting(step.run.model, step.inputs, presence(step.features))
        self.absent = self.absent or encode_zeros(step.run.model)
        return step.features, self.absent

    def _judge(self, step: Step, sums: Tensor) -> Tensor:
        """Losses summed over this rank's samples of the step -> kappa [M]."""
        sums, scored = over_step(step, sums, step.present())
        losses = sums / step.whole
        kappas = self.coefficients(losses, scored)
        for name, loss, kappa in zip(step.run.modalities, losses, kappas, strict=True):
            step.run.log(f"response_loss/{name}", loss)
            step.run.log(f"kappa/{name}", kappa)
        return kappas

    def _clip(self, model: MultimodalNet) -> None:
        heads = [p.grad for p in model.fusion.parameters() if p.grad is not None and p.ndim > 1]
        if self.config.clip_above is None or not heads:
            return
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        largest = torch.stack(torch._foreach_norm(heads, torch.inf)).max()
        norm = torch.stack(torch._foreach_norm(gradients)).norm()
        factor = (self.config.clip_norm / (norm + 1e-6)).clamp(max=1)
        torch._foreach_mul_(gradients, torch.where(largest > self.config.clip_above, factor, 1.0))


def leads(losses: Tensor, scored: Tensor | None = None) -> Tensor:
    """Losses [M] -> exp(mean of the others' - own) [M]: above 1 for who is ahead.

    `scored` [M], bool: those that have a loss, compared among each other; the others, and who is alone, have 1.
    """
    if scored is None:
        others = (losses.sum() - losses) / (len(losses) - 1)
        return torch.exp(others - losses)
    losses = torch.where(scored, losses, 0)
    count = scored.sum() - 1
    others = (losses.sum() - losses) / count.clamp_min(1)
    return torch.exp(torch.where(scored & (count > 0), others - losses, 0))


def _presence_by_part(step: Step) -> list[dict[str, Tensor]]:
    """Which samples of each micro-batch have a modality, of those that samples lack."""
    sizes = [len(next(iter(inputs.values()))) for inputs in step.parts]
    split = {m: torch.split(here, sizes) for m, here in presence(step.features).items()}
    return [{m: parts[number] for m, parts in split.items()} for number in range(len(sizes))]
