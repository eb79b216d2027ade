"""What a person watches while a model trains: sums of an epoch, loggers, and the guard against bad losses."""

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ambidex.base.errors import ParamsError, TrainingError, one_line
from ambidex.configuration.options import choice_config
from ambidex.configuration.values import Choice
from ambidex.learn.log import LOGGERS, Logger, Training
from ambidex.learn.loop.ranks import Ranks
from ambidex.learn.method import Step
from ambidex.net.encoded import presence
from ambidex.net.model import MultimodalNet


class Totals:
    """Sums over the samples of an epoch, kept on the device: no host synchronisation in the step path."""

    def __init__(self, sums: dict[str, Tensor] | None = None, samples: int = 0) -> None:
        self.sums: dict[str, Tensor] = sums or {}
        self.samples = samples

    def state(self) -> dict[str, Tensor]:
        """All of it as tensors."""
        sums = {f"totals/{name}": value for name, value in self.sums.items()}
        return {"samples": torch.tensor(self.samples), **sums}

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor], device: torch.device) -> "Totals":
        """The inverse of `state`; other keys are not looked at."""
        totals = cls()
        totals.samples = int(state["samples"])
        sums = {name.removeprefix("totals/"): v for name, v in state.items() if name.startswith("totals/")}
        totals.sums = {name: value.to(device) for name, value in sums.items()}
        return totals

    def over(self, ranks: Ranks) -> "Totals":
        """The totals of all ranks together."""
        if ranks.count == 1:
            return self
        whole = Totals()
        whole.samples = sum(
            int(one["samples"]) for one in ranks.gather({"samples": torch.tensor(self.samples)})
        )
        whole.sums = {name: ranks.sum(value) for name, value in self.sums.items()}
        return whole

    @torch.no_grad()
    def add(self, step: Step, terms: Mapping[str, Tensor]) -> None:
        """Count one micro-batch: loss terms, hits of the fused logits and of each branch, true-class logits.

        Of an update of some modalities alone only what is theirs: `count` adds the rest once for the whole step.
        """
        count = len(step.labels)
        for name, value in terms.items():  # the mean over no samples is no number
            self._sum(f"loss/{name}", value.detach() * count if count else torch.zeros_like(value))
        if step.modalities is None:
            self.count(step)
        here = presence(step.features)
        for name, logits in (step.branches() or {}).items():
            self._sum(f"accuracy/{name}", _hits(logits, step.labels, here.get(name)))
            if name in here:
                self._sum(f"present/{name}", here[name].sum())
        for name, logits in (step.contributions or {}).items():
            self._sum(f"true_logit/{name}", logits.gather(1, step.labels[:, None]).sum())

    @torch.no_grad()
    def count(self, step: Step) -> None:
        """Count the samples and the hits of the fused logits."""
        self.samples += len(step.labels)
        self._sum("accuracy/fused", _hits(step.logits, step.labels))

    def means(self) -> dict[str, float]:
        """Per-sample means; `share/m` is modality m's part of the true class's logit (decision share)."""
        values = {name: float(total) / max(self.samples, 1) for name, total in self.sums.items()}
        for name in [
            name for name in values if name.startswith("present/")
        ]:  # accuracy is of those that have it
            part = values.pop(name)
            own = name.replace("present/", "accuracy/")
            if part:
                values[own] = values[own] / part
            else:  # of no sample there is none
                del values[own]
        true = {name: values.pop(name) for name in list(values) if name.startswith("true_logit/")}
        whole = sum(true.values())
        if whole > 0:
            values |= {name.replace("true_logit/", "share/"): value / whole for name, value in true.items()}
        return values

    def _sum(self, name: str, value: Tensor) -> None:
        value = value.float()
        self.sums[name] = self.sums[name] + value if name in self.sums else value


class FiniteGuard:
    """Stops a run whose loss is NaN or infinite, naming the step, the term and the last good checkpoint.

    On a CPU each step is looked at; on an accelerator the verdict waits on the device until `check`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.saved_epoch: int | None = None
        self._first_bad: dict[str, Tensor] = {}

    def watch(self, number: int, terms: Mapping[str, Tensor]) -> None:
        """Look at the named loss terms of optimiser step `number`."""
        for name, value in terms.items():
            value = value.detach()
            if value.device.type == "cpu":
                if not math.isfinite(value.item()):
                    self._stop(f"term '{name}'", f"at step {number}")
                continue
            here = torch.where(torch.isfinite(value), torch.inf, float(number))
            self._first_bad[name] = (
                torch.minimum(self._first_bad[name], here) if name in self._first_bad else here
            )

    def check(self) -> None:
        """Fetch the verdict from the device. Raises TrainingError at the first bad term."""
        for name, first in self._first_bad.items():
            if (number := float(first)) != float("inf"):
                self._stop(f"term '{name}'", f"at step {int(number)}")

    def check_score(self, nll: float | None, epoch: int) -> None:
        """The last step of an epoch is judged by validation alone. Raises TrainingError where its NLL is no number."""
        if nll is not None and not math.isfinite(nll):
            self._stop("of validation", f"after epoch {epoch + 1}")

    def _stop(self, term: str, where: str) -> None:
        hint = (
            "no checkpoint was written yet"
            if self.saved_epoch is None
            else f"the last good checkpoint is of epoch {self.saved_epoch + 1} in {self.folder}"
        )
        raise TrainingError(
            f"loss {term} is not finite {where}; {hint}; try a smaller learning rate or clip_norm"
        )


class Monitor:
    """Hands the numbers of one run to its loggers; without any (other ranks) it only remembers.

    A logger that fails costs one line; then it is silent, and called no more unless it recovers.
    """

    def __init__(self, training: Training, choices: Sequence[Choice], history: list[dict[str, Any]]) -> None:
        """`history`: the epochs before a stop; it grows with every epoch."""
        self.training, self.history = training, history
        self._loggers: list[Logger] = []
        self._failed: set[Logger] = set()
        for choice in choices:
            with self._forgiving(choice.name):
                config = choice_config(LOGGERS, choice, "runtime.loggers")
                self._loggers.append(LOGGERS.get(choice.name)(config, training))

    def points(self, values: Mapping[str, float | Tensor], number: int) -> None:
        """Numbers at optimiser step `number`."""
        if self._loggers:
            scalars = {name: float(value) for name, value in values.items()}
            self._tell(lambda logger: logger.points(scalars, number))

    def epoch(self, epoch: int, number: int, values: dict[str, float]) -> None:
        """The values of `epoch` (from 0) as points, and in the history, which counts from 1."""
        self.points({f"epoch/{name}": value for name, value in values.items()}, number)
        self.history.append({"epoch": epoch + 1, **values})
        self._tell(lambda logger: logger.epoch(self.history))

    def flush(self) -> None:
        """Bring to disk what was written so far: a process that is killed loses nothing before its checkpoint."""
        self._tell(lambda logger: logger.flush())

    def close(self, complete: bool = True) -> None:
        """The last call; `complete`: the training is, else it was asked to stop."""
        self._tell(lambda logger: logger.close(complete))

    def _tell(self, call: Callable[[Logger], None]) -> None:
        for logger in self._loggers:
            if logger not in self._failed or logger.recovers:
                with self._forgiving(LOGGERS.name_of(type(logger)), logger):
                    call(logger)

    @contextmanager
    def _forgiving(self, name: str, logger: Logger | None = None) -> Iterator[None]:
        """Whatever a logger raises is one line; a ParamsError was the user's, and ends the training."""
        try:
            yield
        except ParamsError:
            raise
        except Exception as error:
            if logger is None or logger not in self._failed:
                reason = one_line(f"{type(error).__name__}: {error}", 200)
                print(f"train: logger {name} failed, training goes on without it: {reason}", file=sys.stderr)
            if logger is not None:
                self._failed.add(logger)


def gradient_norms(model: MultimodalNet) -> dict[str, Tensor]:
    """L2 norm of all gradients of each encoder and of the fusion, as device tensors."""
    owners = {name: model.own(name) for name in model.modalities} | {
        "fusion": list(model.fusion.parameters())
    }
    norms: dict[str, Tensor] = {}
    for name, parameters in owners.items():
        gradients = [p.grad for p in parameters if p.grad is not None]
        if gradients:
            norms[f"gradient_norm/{name}"] = torch.stack(torch._foreach_norm(gradients)).norm()
    return norms


def _hits(logits: Tensor, labels: Tensor, present: Tensor | None = None) -> Tensor:
    right = logits.argmax(1) == labels
    return (right if present is None else right & present).sum()
