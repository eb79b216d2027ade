"""The multimodal transfer module by hand: a pass over two small_cnn encoders, block by block and sample by sample."""

import torch
import torch.nn.functional as F


def by_hand(model, inputs, told=None):
    """Features h_m, and each stage's gates by modality [B, C_m]. `told(stage, squeezed)` may change what is told."""
    maps, gates = {}, []
    for name in model.modalities:
        x = model.normalise[name](inputs[name])
        maps[name] = list(x[:, None]) if x.dim() == 3 else list(x)  # of each sample [1 or N, C, H, W]
        maps[name] = [one[None] if one.dim() == 3 else one for one in maps[name]]
    for number in range(3):
        for name in model.modalities:
            block = model.encoder(name).blocks[4 * number : 4 * number + 4]
            maps[name] = _whole_batch(block, maps[name])
        module = model.exchange.stages[number]
        squeezed = {name: torch.stack([one.mean((0, 2, 3)) for one in maps[name]]) for name in maps}
        gates.append(
            {name: _gate(module, name, told(number, name, squeezed) if told else squeezed) for name in maps}
        )
        for name in maps:
            maps[name] = [
                one * g[None, :, None, None] for one, g in zip(maps[name], gates[-1][name], strict=True)
            ]
    return {name: _feature(model.encoder(name), maps[name]) for name in maps}, gates


def _whole_batch(block, samples):
    """A block on all samples at once, as batch norm wants it."""
    sizes = [len(one) for one in samples]
    return list(block(torch.cat(samples)).split(sizes))


def _gate(module, name, squeezed):
    told = torch.cat([squeezed[m] for m in sorted(squeezed)], dim=1)
    hidden = (told @ module.squeeze.weight.T + module.squeeze.bias).clamp_min(0)
    return 1 / (1 + torch.exp(-(hidden @ module.gates[name].weight.T + module.gates[name].bias)))


def _feature(encoder, samples):
    cells = [F.avg_pool2d(one, encoder.cell, ceil_mode=True).flatten(1) for one in samples]
    return torch.stack([F.relu(encoder.project(one)).mean(0) for one in cells])
