"""InfoReg: hold back whichever modality is ahead while its encoder is in its prime learning window.

Tr_m = mean over the batches of an epoch of |grad of L wrt theta_m|^2, the task's gradient alone. In epoch t >= 2
modality m's window is open where (Tr[t-1] - Tr[t-2]) / Tr[t-1] > K. With s_m = mean log softmax(z_m)[y] of the batch
and Delta_m = mean over the modalities weaker than m of s_m - s_j, where the window is open and Delta_m > 0 the
encoder's gradient gains a (theta_m - w_m), a = exp(beta tanh(Delta_m)), w_m the weights at the end of the epoch
before: the gradient of a/2 |theta_m - w_m|^2. Heads are untouched. InfoReg* is `unimodal_losses: true`, which adds
sum_m CE(z_m, y); its reference is multi_task on the split head, not joint.

`mode: released` is what the code does: InfoReg*; S_m = sum_i softmax(z_m)[i, y_i]; a = f_m exp(tanh(Delta)), f = 0.95
for audio and 0.1 for visual; both windows follow audio's trace, smoothed over ten epochs that begin as zeros, so they
are open from the first epoch on; the trace is the sum over weight tensors of the mean squared gradient, with the pull
in it.
"""

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from ambidex.base.cards.card import Card, Cost, Paper, Preset, Published, training
from ambidex.base.cards.published import CREMAD, INFOREG, INFOREG_STAR, RESNETS
from ambidex.base.errors import ModelError
from ambidex.learn.method import Method, MethodConfig, Needs, Run, Step
from ambidex.learn.methods._scores import over_step, true_class_log_likelihoods, true_class_scores
from ambidex.learn.methods._weights import weights
from ambidex.net.model import Architecture

RELEASED = {"audio": 0.95, "visual": 0.1}
"""what a is multiplied by in the released code"""
SMOOTHED = 10
"""epochs that the released code's traces are averaged over"""


class InfoReg(Method):
    """Pull the encoder of whichever modality leads towards its weights of the last epoch, while it learns fast."""

    class Config(MethodConfig):
        """Defaults: the paper's."""

        mode: Literal["paper", "released"] = Field("paper", description="released: what the code does")
        unimodal_losses: bool = Field(False, description="InfoReg*; always so in mode released")
        beta: float = Field(0.9, ge=0, description="strength of the pull; mode released has its own")
        threshold: float | None = Field(
            None,
            description="growth K of the Fisher trace above which a window is open; none: 0.04, released 0.05",
        )

    card = Card(
        intervenes=("gradients",),
        missing="scores are means over the samples that have one; batches without it count in no trace",
        cost=Cost(
            words="norms of the encoders' gradients, and where a window is open one more copy of that encoder"
        ),
        paper=Paper(
            "Huang, Wei, Yang, Hu",
            "Adaptive Unimodal Regulation for Balanced Multimodal Information Acquisition",
            "CVPR",
            2025,
        ),
        needs="`mode: released`: the modalities audio and visual",
        deviations=(
            "The paper's s is printed as a negative log-likelihood and used as if more were better; here more is "
            "better.",
            "The paper's s is a mean over the batch, the released code's a sum, at which tanh saturates; "
            "`mode: released` is the sum.",
            "The released code trains InfoReg* and regulates from the first epoch on; the paper's InfoReg begins with "
            "the third, as here by default.",
        ),
        published=(
            *INFOREG,
            *INFOREG_STAR,
            Published(CREMAD, 67.72, RESNETS, "five seeds", "a public note", "re-run by others", spread=0.83),
        ),
    )
    presets: ClassVar = {
        "paper": Preset(
            "beta and K of the paper, the loop of the released script",
            "read in the paper",
            {"mode": "paper", "beta": 0.9, "threshold": 0.04},
            training("sgd", 2e-3, 64, epochs=50, step_epochs=30),
            "the paper's loop",
        ),
        "released": Preset(
            "the released script",
            "read in the released code",
            {"mode": "released", "threshold": 0.05},
            training("sgd", 2e-3, 64, epochs=50, step_epochs=30),
        ),
    }
    config: Config
    needs = Needs(additive_head=True, min_modalities=2, missing=True, trained="holds the encoders back")
    early: ClassVar = {"threshold": -1e9}
    acts_from = 2
    neutral = ({"threshold": 1.0},)
    variants: ClassVar = ({"unimodal_losses": True},)

    def waits(self) -> int:
        """Until there are two traces to compare; the losses of InfoReg* are there from the start."""
        return 0 if self.config.unimodal_losses or self.config.mode == "released" else 2

    def check(self, architecture: Architecture, frozen: bool) -> None:
        """Mode released has a factor for each of two modalities, by name."""
        super().check(architecture, frozen)
        if self.config.mode == "released" and set(architecture.encoders) != set(RELEASED):
            raise ModelError(
                f"method inforeg: mode 'released' knows the modalities {' and '.join(RELEASED)} alone, "
                f"the model has {', '.join(architecture.encoders)}; use mode: paper"
            )

    def setup(self, run: Run) -> None:
        """Begin without a trace."""
        self.released = self.config.mode == "released"
        self.device = next(run.model.parameters()).device
        self.traces: list[list[float]] = []
        """Tr of each modality, of each finished epoch"""
        self.sums, self.batches = torch.zeros(len(run.modalities), device=self.device), 0
        self.unseen: Tensor | None = None
        """[M]: those of the batches in which no sample had m; None: in none"""
        self.snapshot: dict[str, list[Tensor]] = {}
        """weights that the encoders with an open window are pulled to"""

    def epoch_start(self, run: Run) -> None:
        """Judge the windows, and remember the weights of the encoders whose window is open."""
        for name, growth in zip(run.modalities, self.growths(run.modalities), strict=True):
            if growth > self._threshold():
                self.snapshot[name] = [p.detach().clone() for p in run.model.own(name)]
            run.log(f"window/{name}", float(name in self.snapshot))

    def epoch_end(self, run: Run) -> None:
        """Keep the epoch's traces."""
        means = self.sums / max(self.batches, 1)
        if self.unseen is not None:
            means = self.sums / (self.batches - self.unseen).clamp_min(1)
        self.traces.append(means.tolist())
        self.sums, self.batches, self.snapshot, self.unseen = torch.zeros_like(self.sums), 0, {}, None

    def objective(self, step: Step) -> dict[str, Tensor]:
        """The fused loss; with InfoReg* one of each contribution too."""
        terms = super().objective(step)
        if self.config.unimodal_losses or self.released:
            assert step.contributions is not None
            terms |= {m: step.own_loss(m, z) for m, z in step.contributions.items()}
        return terms

    @torch.no_grad()
    def gradients(self, step: Step) -> None:
        """Measure the traces, then add the pull."""
        if (present := step.present()) is not None:
            nobody = (step.global_sum(present.any(1).float()) == 0).float()
            self.unseen = nobody if self.unseen is None else self.unseen + nobody
        if self.released:
            self._pull(step)
        self.sums += torch.stack([self._trace(step.run, name) for name in step.run.modalities])
        self.batches += 1
        if not self.released:
            self._pull(step)

    def growths(self, modalities: tuple[str, ...]) -> list[float]:
        """How much of each modality's last trace is new: at most 1, and -inf where that is not known yet."""
        if not self.released:
            return [
                _growth(self.traces[-1][i], self.traces[-2][i]) if len(self.traces) > 1 else -torch.inf
                for i in range(len(modalities))
            ]
        audio = modalities.index("audio")
        known = [0.0] * (SMOOTHED + 1) + [trace[audio] for trace in self.traces]
        growth = _growth(sum(known[-SMOOTHED:]), sum(known[-SMOOTHED - 1 : -1])) if self.traces else 1.0
        return [growth] * len(modalities)

    def strengths(self, scores: Tensor, modalities: tuple[str, ...], scored: Tensor | None = None) -> Tensor:
        """Scores s [M], more is better -> a [M], 0 for the weakest, and for who has no score (`scored` [M], bool)."""
        gaps = scores[:, None] - scores[None, :]
        if scored is not None:
            gaps = torch.where(scored[:, None] & scored, gaps, 0)
        weaker = gaps > 0
        delta = (gaps * weaker).sum(1) / weaker.sum(1).clamp_min(1)
        factors = scores.new_tensor([RELEASED[m] if self.released else 1.0 for m in modalities])
        pull = factors * torch.exp((1.0 if self.released else self.config.beta) * torch.tanh(delta))
        return torch.where(delta > 0, pull, torch.zeros_like(pull))

    def state_dict(self) -> dict[str, Any]:
        """Traces of all epochs, sums of the running one, and the weights to pull to."""
        kept = {"traces": self.traces, "sums": self.sums, "batches": self.batches}
        return kept | {"snapshot": self.snapshot, "unseen": self.unseen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of state_dict."""
        self.traces, self.batches = state["traces"], state["batches"]
        self.sums = state["sums"].to(self.device)
        self.unseen = None if state["unseen"] is None else state["unseen"].to(self.device)
        self.snapshot = {m: [w.to(self.device) for w in kept] for m, kept in state["snapshot"].items()}

    def _threshold(self) -> float:
        default = 0.05 if self.released else 0.04
        return default if self.config.threshold is None else self.config.threshold

    def _trace(self, run: Run, modality: str) -> Tensor:
        measured = weights(run.model.encoder(modality)) if self.released else run.model.own(modality)
        gradients = [p.grad for p in measured if p.grad is not None]
        if not gradients:
            return torch.zeros((), device=self.device)
        squares = torch.stack(torch._foreach_norm(gradients)).square()
        return (
            squares / squares.new_tensor([g.numel() for g in gradients]) if self.released else squares
        ).sum()

    def _pull(self, step: Step) -> None:
        run = step.run
        if not self.snapshot:
            return
        assert step.contributions is not None
        present = step.present()
        score = true_class_scores if self.released else true_class_log_likelihoods
        scores, scored = over_step(step, score(step.contributions, step.labels, present), present)
        scores = scores if self.released else scores / step.whole
        for name, strength in zip(
            run.modalities, self.strengths(scores, run.modalities, scored), strict=True
        ):
            if name in self.snapshot:
                if not _known_zero(strength):
                    _add_pull(zip(run.model.own(name), self.snapshot[name], strict=True), strength)
                run.log(f"pull/{name}", strength)


def _growth(last: float, before: float) -> float:
    """(last - before) / last; where nothing was learned, no growth."""
    return (last - before) / last if last > 0 else -torch.inf


def _known_zero(strength: Tensor) -> bool:
    """Whether nothing is to be added, where the host knows without waiting: the weaker of two is half of the work."""
    return strength.is_cpu and not strength.numpy()


def _add_pull(pairs: Iterable[tuple[Tensor, Tensor]], strength: Tensor) -> None:
    """Add strength (theta - w) to the gradient of each (theta, w) that has one.

    One after the other: the difference is still in the cache when it is added, which takes a third of the time that
    three passes over all parameters take.
    """
    for parameter, anchor in pairs:
        if parameter.grad is not None:
            parameter.grad.addcmul_(parameter.detach() - anchor, strength.to(parameter.dtype))
