"""MMTM, the multimodal transfer module: what encoders tell each other while they run, after every stage.

Paper: Joze, Shaban, Iuzzolino, Koishida, "MMTM: Multimodal Transfer Module for CNN Fusion", CVPR 2020, the section on
the module. With s_m [B, C_m] the mean of m's maps over frames and positions,

    e = relu(W [s_1 | ... | s_M] + b), of length 2 sum_m C_m / ratio;  g_m = sigmoid(W_m e + b_m);  maps_m <- g_m maps_m

The paper multiplies by 2 sigmoid; its released code, and Wu et al. (ICML 2022) after it, by sigmoid, as here.

A gate belongs to a sample and is the same for all of its frames. The running means of the gates are part of the model
(buffers): training steps count, with all of their samples over micro-batches and ranks, evaluation does not. Inside,
modalities stand in alphabetical order, so that the module is the same in whatever order the model names them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from pydantic import Field
from torch import Tensor, nn

from ambidex.base.errors import ModelError
from ambidex.configuration.params import Section
from ambidex.net.additions import Exchange
from ambidex.net.encoders import Encoder, Staged, staged_names


class Transfer(nn.Module):
    """The exchange after one stage."""

    means: Tensor
    """running means of the gates, side by side [sum of C_m]"""
    sums: Tensor
    """sum of the gates over the samples of the step at hand, which no running mean knows yet"""

    def __init__(self, channels: Mapping[str, int], ratio: int) -> None:
        super().__init__()
        self.names = sorted(channels)
        self.sizes = [channels[name] for name in self.names]
        total = sum(self.sizes)
        self.squeeze = nn.Linear(total, max(1, 2 * total // ratio))
        self.gates = nn.ModuleDict(
            {name: nn.Linear(self.squeeze.out_features, channels[name]) for name in self.names}
        )
        self.register_buffer("means", torch.zeros(total))
        self.register_buffer("sums", torch.zeros(total), persistent=False)

    def squeezed(self, maps: Mapping[str, Tensor], samples: int) -> Tensor:
        """Maps [n, C_m, height, width] -> their means over frames and positions, side by side [B, sum of C_m]."""
        return torch.cat([_by_sample(maps[name], samples).mean((1, 3, 4)) for name in self.names], dim=1)

    def open(self, squeezed: Tensor) -> dict[str, Tensor]:
        """What `squeezed` returned -> gates g_m [B, C_m]."""
        joint = torch.relu(self.squeeze(squeezed))
        return {name: torch.sigmoid(self.gates[name](joint)) for name in self.names}

    def forward(self, maps: dict[str, Tensor], samples: int, held: Tensor | None) -> dict[str, Tensor]:
        """Maps [n, C_m, height, width] of `samples` B, gated; `held`: see Mmtm."""
        gates = self.open(self.squeezed(maps, samples))
        if self.training:
            self.sums += torch.cat([gate.detach().float().sum(0) for gate in gates.values()])
            if held is not None:
                gates = self._held(gates, held)
        return self.apply_gates(maps, gates, samples)

    def apply_gates(
        self, maps: Mapping[str, Tensor], gates: Mapping[str, Tensor], samples: int
    ) -> dict[str, Tensor]:
        """Maps times gates [B, C_m], each for all frames and positions of its sample."""
        return {
            name: (_by_sample(own, samples) * gates[name][:, None, :, None, None]).flatten(0, 1)
            for name, own in maps.items()
        }

    def _held(self, gates: dict[str, Tensor], held: Tensor) -> dict[str, Tensor]:
        """Gates, with those of the held modalities at their running means."""
        means = torch.split(self.means, self.sizes)
        return {
            name: torch.where(one, mean.to(gates[name].dtype), gates[name])
            for name, one, mean in zip(self.names, held, means, strict=True)
        }


class Mmtm(Exchange):
    """An MMTM after every stage of the encoders."""

    class Config(Section):
        """Its size."""

        ratio: int = Field(
            4, ge=1, le=1_000, description="how many times shorter e is than twice the squeezed maps together"
        )

    stored_as = "exchange."
    steps: Tensor
    """how many training steps the running means are of"""

    def __init__(self, config: Config, encoders: Mapping[str, Encoder], classes: int) -> None:
        """Raises ModelError where an encoder has no stages, or they have not equally many."""
        super().__init__(config, encoders, classes)
        widths = {name: _widths(name, encoder) for name, encoder in encoders.items()}
        counts = {name: len(own) for name, own in widths.items()}
        if len(set(counts.values())) != 1:
            listing = ", ".join(f"{name} {count}" for name, count in counts.items())
            raise ModelError(f"exchange mmtm: needs encoders with equally many stages, found {listing}")
        self.names = sorted(encoders)
        self.stages = nn.ModuleList(
            Transfer({name: own[number] for name, own in widths.items()}, config.ratio)
            for number in range(next(iter(counts.values())))
        )
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.held: Tensor | None = None
        """whose gates stand at their running means in training: [M] bool, in the order of `names`; None: no one's"""

    def transfers(self) -> list[Transfer]:
        """The module of each stage."""
        return [stage for stage in self.stages if isinstance(stage, Transfer)]

    def exchanged(self, encoders: Mapping[str, Encoder], inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Normalised inputs [B, *shape] -> features h_m [B, D_m], in the order of the inputs."""
        return self._run(encoders, inputs, self._ordinary)

    @contextmanager
    def listening(self) -> Iterator[list[Tensor]]:
        """Sums over all samples that pass meanwhile of what each stage is told: [sum of C_m] float64, on the CPU."""
        sums = [torch.zeros(len(stage.means), dtype=torch.float64) for stage in self.transfers()]

        def hear(stage: nn.Module, inputs: tuple[Tensor, ...], number: int) -> None:
            sums[number] += inputs[0].float().sum(0).cpu()

        hooks = [
            stage.squeeze.register_forward_pre_hook(partial(hear, number=number))
            for number, stage in enumerate(self.transfers())
        ]
        try:
            yield sums
        finally:
            for hook in hooks:
                hook.remove()

    def isolated(
        self, encoders: Mapping[str, Encoder], inputs: Mapping[str, Tensor], usual: Sequence[Tensor]
    ) -> dict[str, Tensor]:
        """Features where every modality is told `usual` (by stage, [sum of C_m]) in place of the others' maps."""

        def alone(number: int, stage: Transfer, maps: dict[str, Tensor], samples: int) -> dict[str, Tensor]:
            actual = stage.squeezed(maps, samples)
            average = torch.split(usual[number].to(actual).expand_as(actual), stage.sizes, dim=1)
            gates = {}
            for place, own in enumerate(torch.split(actual, stage.sizes, dim=1)):
                name = stage.names[place]
                squeezed = torch.cat([*average[:place], own, *average[place + 1 :]], dim=1)
                gates[name] = stage.open(squeezed)[name]
            return stage.apply_gates(maps, gates, samples)

        return self._run(encoders, inputs, alone)

    @torch.no_grad()
    def count(self, reduce: Callable[[Tensor], Tensor], samples: int) -> None:
        """Take the step that ends into the running means: `samples` of it in all, `reduce` sums over the ranks."""
        self.steps += 1
        stages = self.transfers()
        means = reduce(torch.cat([stage.sums for stage in stages])) / samples
        parts = torch.split(means, [len(stage.sums) for stage in stages])
        for stage, mean in zip(stages, parts, strict=True):
            stage.means += (mean - stage.means) / self.steps
            stage.sums.zero_()

    @torch.no_grad()
    def forget(self) -> None:
        """What passed in this step was no sample of it."""
        for stage in self.transfers():
            stage.sums.zero_()

    def _ordinary(
        self, number: int, stage: Transfer, maps: dict[str, Tensor], samples: int
    ) -> dict[str, Tensor]:
        gated: dict[str, Tensor] = stage(maps, samples, self.held)
        return gated

    def _run(
        self,
        encoders: Mapping[str, Encoder],
        inputs: Mapping[str, Tensor],
        between: Callable[[int, Transfer, dict[str, Tensor], int], dict[str, Tensor]],
    ) -> dict[str, Tensor]:
        staged = {name: encoder for name, encoder in encoders.items() if isinstance(encoder, Staged)}
        samples = len(next(iter(inputs.values())))
        maps = {name: staged[name].begin(x) for name, x in inputs.items()}
        for number, stage in enumerate(self.transfers()):
            maps = {name: staged[name].stage(number, own) for name, own in maps.items()}
            maps = between(number, stage, maps, samples)
        return {name: staged[name].finish(own, samples) for name, own in maps.items()}


def _by_sample(maps: Tensor, samples: int) -> Tensor:
    """[n, C, height, width] -> [B, frames, C, height, width]."""
    return maps.view(samples, -1, *maps.shape[1:])


def _widths(name: str, encoder: Encoder) -> tuple[int, ...]:
    if not isinstance(encoder, Staged):
        kind = type(encoder).__module__.rpartition(".")[2]
        raise ModelError(
            f"exchange mmtm: encoder '{kind}' of {name} has no stages; use {' or '.join(staged_names())}"
        )
    return encoder.widths
