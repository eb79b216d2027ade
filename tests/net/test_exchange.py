"""The exchange between encoders against MMTM worked out block by block, and what must not change without one."""

import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from ambidex.base.errors import ModelError
from ambidex.configuration.values import Choice
from ambidex.data.kinds import InputSpec
from ambidex.net.additions.mmtm import Mmtm
from ambidex.net.encoders import ENCODERS, Staged, staged_names
from ambidex.net.model import MODEL_FILE, MultimodalNet, load_model, save_model
from helpers.memory_store import PLAIN_ENCODERS, MemoryStore, architecture
from helpers.mmtm import by_hand

TWO = ("audio", "visual")


def _model(modalities=TWO, plain=True, **encoders):
    plan = architecture(modalities)
    chosen = (PLAIN_ENCODERS if plain else plan.encoders) | encoders
    torch.manual_seed(0)
    plan = replace(plan, encoders={m: chosen[m] for m in modalities})
    return MultimodalNet(plan.adding("mmtm", ratio=4))


def _inputs(count=5, modalities=TWO):
    store = MemoryStore(modalities)
    return {m: store.gather(m, torch.arange(count)) for m in modalities}


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_features_are_those_of_mmtm_by_hand(plain, training):
    model = _model(plain=plain).train(training)
    found, (expected, _) = model.encode(_inputs()), by_hand(model, _inputs())
    assert list(found) == list(TWO)
    for name in TWO:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-5, atol=1e-6)
        alone = model.encode_one(name, _inputs()[name])
        assert not torch.allclose(found[name], alone, rtol=0.01)


def test_sizes_are_those_of_the_paper():
    stages = _model(audio=Choice(name="resnet18"), visual=Choice(name="resnet18")).exchange.transfers()
    assert [stage.squeeze.in_features for stage in stages] == [256, 512, 1024]
    assert [stage.squeeze.out_features for stage in stages] == [128, 256, 512]  # 2 * sum / 4
    assert [stage.gates["audio"].out_features for stage in stages] == [128, 256, 512]


@pytest.mark.parametrize("name", staged_names())
@pytest.mark.parametrize(("kind", "shape"), [("spectrogram", (20, 31)), ("frames", (2, 3, 28, 36))])
@pytest.mark.parametrize("training", [True, False])
def test_without_an_exchange_stages_change_no_bit(name, kind, shape, training):
    torch.manual_seed(0)
    encoder = ENCODERS.get(name)(ENCODERS.get(name).Config(width=4), InputSpec(kind, shape)).train(training)
    x = torch.randn(4, *shape)
    images = x.unsqueeze(1) if kind == "spectrogram" else x.flatten(0, 1)
    if name == "small_cnn":
        cells = F.avg_pool2d(encoder.blocks(images), encoder.cell, ceil_mode=True)
        expected = F.relu(encoder.project(cells.flatten(1)))
    else:
        maps = encoder.maxpool(F.relu(encoder.bn1(encoder.conv1(images))))
        expected = encoder.layer4(encoder.layer3(encoder.layer2(encoder.layer1(maps)))).mean((2, 3))
    assert torch.equal(encoder(x), expected.view(4, -1, encoder.dim).mean(1))


@pytest.mark.parametrize("name", staged_names())
def test_stages_are_as_wide_as_they_say(name):
    encoder = ENCODERS.get(name)(ENCODERS.get(name).Config(width=4), InputSpec("frames", (2, 3, 28, 36)))
    assert isinstance(encoder, Staged)
    maps = encoder.begin(torch.randn(3, 2, 3, 28, 36))
    for number, width in enumerate(encoder.widths):
        maps = encoder.stage(number, maps)
        assert maps.shape[:2] == (6, width)


def test_all_frames_of_a_sample_have_the_same_gate():
    model, x = _model().eval(), _inputs()
    swapped = x | {"visual": x["visual"].flip(1)}
    for name, feature in model.encode(swapped).items():
        torch.testing.assert_close(feature, model.encode(x)[name], rtol=1e-5, atol=1e-6)


def test_a_sample_is_told_nothing_of_the_others():
    model, x = _model().eval(), _inputs()
    whole = model.encode(x)
    for i in range(5):
        one = model.encode({m: value[i : i + 1] for m, value in x.items()})
        for name in TWO:
            torch.testing.assert_close(one[name][0], whole[name][i], rtol=1e-5, atol=1e-6)


def test_the_order_of_the_modalities_changes_nothing():
    first, second = _model(), _model(TWO[::-1])
    second.load_state_dict({k: v for k, v in first.state_dict().items() if not k.startswith("fusion")}, False)
    found, again = first.eval().encode(_inputs()), second.eval().encode(_inputs(modalities=TWO[::-1]))
    assert list(again) == list(TWO[::-1])
    for name in TWO:
        assert torch.equal(found[name], again[name])


def test_only_training_is_counted():
    model = _model()
    model.eval().encode(_inputs())
    stages = model.exchange.transfers()
    assert all(not stage.sums.any() for stage in stages)
    _, gates = by_hand(model, _inputs())
    model.train().encode(_inputs())
    for stage, gate in zip(stages, gates, strict=True):
        expected = torch.cat([gate[m].sum(0) for m in sorted(gate)])
        torch.testing.assert_close(stage.sums, expected)
        assert not stage.means.any()
    model.exchange.count(lambda value: value, 5)
    for stage, gate in zip(stages, gates, strict=True):
        torch.testing.assert_close(stage.means, torch.cat([gate[m].mean(0) for m in sorted(gate)]))
        assert not stage.sums.any()
    assert model.exchange.steps == 1


def test_a_saved_model_predicts_bit_for_bit_and_has_the_means(tmp_path):
    model = _model(plain=False)
    model.encode(_inputs())
    model.exchange.count(lambda value: value, 5)
    save_model(model, tmp_path)
    loaded = load_model(tmp_path)
    assert loaded.architecture.additions == (Choice(name="mmtm", ratio=4),)
    assert torch.equal(loaded(_inputs()), model.eval()(_inputs()))
    assert loaded.exchange.steps == 1
    assert torch.equal(loaded.exchange.transfers()[1].means, model.exchange.transfers()[1].means)


@pytest.mark.parametrize(
    "exchange", [{"ratio": 4}, {"name": "mmtm", "ratio": 0}, {"name": "x", "ratio": 4}, 3]
)
@pytest.mark.parametrize("earlier", [False, True])
def test_an_exchange_that_makes_no_sense_is_refused(exchange, earlier, tmp_path):
    save_model(_model(TWO), tmp_path)
    described = json.loads((tmp_path / MODEL_FILE).read_text())
    if earlier:
        del described["architecture"]["additions"]
    described["architecture"] |= {"exchange": exchange} if earlier else {"additions": [exchange]}
    (tmp_path / MODEL_FILE).write_text(json.dumps(described))
    with pytest.raises(ModelError, match=MODEL_FILE):
        load_model(tmp_path)


def test_encoders_without_stages_are_refused_in_one_line():
    with pytest.raises(ModelError) as caught:
        _model(("audio", "touch"))
    assert str(caught.value) == (
        "exchange mmtm: encoder 'mlp' of touch has no stages; use resnet18 or small_cnn"
    )


def test_encoders_of_two_kinds_exchange_where_they_have_equally_many_stages():
    mixed = _model(visual=Choice(name="resnet18", width=2))
    assert {m: h.shape for m, h in mixed.encode(_inputs()).items()} == {"audio": (5, 8), "visual": (5, 16)}
    encoders = {m: mixed.encoder(m) for m in TWO}
    encoders["visual"].widths = (4, 8)
    with pytest.raises(ModelError, match="equally many stages, found audio 3, visual 2"):
        Mmtm(Mmtm.Config(), encoders, 3)


def test_isolated_streams_know_nothing_of_each_other():
    model, x = _model().eval(), _inputs()
    with model.exchange.listening() as sums:
        for part in (slice(2), slice(2, 5)):
            model.encode({m: value[part] for m, value in x.items()})
    usual = [total / 5 for total in sums]
    model.encode(x)  # no one listens any more
    found = model.isolated(x, usual)

    def replaced(number, name, squeezed):
        own = usual[number].float().split([squeezed[m].shape[1] for m in sorted(squeezed)])
        averages = {m: one.expand_as(squeezed[m]) for m, one in zip(sorted(squeezed), own, strict=True)}
        return averages | {name: squeezed[name]}

    seen = []
    by_hand(model, x, lambda number, name, squeezed: seen.append((number, squeezed)) or squeezed)
    for number, squeezed in seen:
        torch.testing.assert_close(sums[number].float(), torch.cat([squeezed[m].sum(0) for m in TWO]))
    expected, _ = by_hand(model, x, replaced)
    other = model.isolated(x | {"audio": x["audio"].flip(0)}, usual)
    for name in TWO:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-5, atol=1e-6)
    assert torch.equal(other["visual"], found["visual"])
    assert not torch.equal(other["audio"], found["audio"])


def test_isolated_from_ones_own_partner_nothing_changes():
    model = _model().eval()
    with model.exchange.listening() as actual:
        expected = model.encode(_inputs(1))
    for name, feature in model.isolated(_inputs(1), actual).items():
        assert torch.equal(feature, expected[name])
