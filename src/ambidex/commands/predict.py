"""`ambidex predict MODEL CLIP...`: class, probability and each modality's share, for real files."""

import json
import sys
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from ambidex.base.errors import DataError, ModelError, ParamsError, one_line
from ambidex.base.progress import progress
from ambidex.base.records import CARD_FILE, read_card
from ambidex.commands.doors import complain
from ambidex.configuration.params import Runtime
from ambidex.data.kinds import Wants
from ambidex.data.media.limits import DEFAULT, Limits
from ambidex.data.media.reasons import UNEXPECTED
from ambidex.data.store.extraction import Batch
from ambidex.decide.adaptation.adapting import Adaptation
from ambidex.decide.repaired import Repaired
from ambidex.learn.runtime import device
from ambidex.predict.adapted import Group, adaptation_json, adaptation_lines
from ambidex.predict.clips import clip_cells, read_clips, wants_of
from ambidex.predict.prediction import Prediction, Predictor
from ambidex.report.model_files import kept_note

_NOTHING = "the model says nothing finite about it"
_LABEL = 60  # characters of a class
_PATIENCE = 5.0  # seconds of work ahead from which on a bar is shown
_SOURCES = {
    "contributions": "the head's contributions",
    "own_heads": "the modalities' own heads",
    "probes": "a linear probe on each modality",
    "both": "the head's contributions and a linear probe on each modality",
    "typicality": "the head's contributions and a linear probe on each modality, by how typical the features are",
    "opinions": "the head's contributions, a linear probe on each modality, and own heads where there are such, "
    "by how typical the features are",
}
Answer = tuple[str, Prediction | str]
"""a clip as it was named; the prediction, or why there is none"""


def run(options: Namespace) -> int:
    """Predict every clip that can be read; exit code 2 where one could not, with a line for each."""
    predictor = Predictor(Path(options.model), device(Runtime(accelerator=options.accelerator)))
    if note := kept_note(predictor.folder):
        print(f"ambidex: {note}", file=sys.stderr, flush=True)
    wants = wants_of(predictor.folder, predictor.model.architecture)
    out = None if sys.stdout.isatty() else sys.stdout  # a bar on the terminal must not swallow a file's lines
    table = _Table(options.clips, predictor, options.top)
    group = _group(predictor, options)
    if not options.json:
        print(one_line(_title(predictor)), flush=True)
    if not options.json and group is None:
        print(table.header(), flush=True)
    failed = unexpected = 0
    limits = Limits(options.seconds or DEFAULT.seconds, options.megabytes or DEFAULT.megabytes)
    _check_named(predictor, wants, options.clips)
    predicted, lacking = 0, Counter[str]()
    adaptation: Adaptation | None = None
    for name, outcome in _predict(predictor, wants, options, limits, group):
        if isinstance(outcome, Adaptation):
            adaptation = outcome
            _tell_adaptation(adaptation, predictor, table, options.json)
            continue
        if isinstance(outcome, str):
            failed += 1
            unexpected += UNEXPECTED in outcome
            complain("ambidex", f"{name}: {outcome}")
        else:
            predicted += 1
            lacking.update(wants.keys() - clip_cells(name, wants).keys())
        if options.json:
            print(_json(name, outcome, predictor, adaptation), file=out, flush=True)
        elif isinstance(outcome, Prediction):
            print(table.line(name, outcome), file=out, flush=True)
    if group is not None:
        group.remember()  # after the last answer: a call that was cut off can be repeated
    for line in _without(predictor, wants, lacking, predicted):
        print(f"ambidex: {line}", file=sys.stderr, flush=True)
    if unexpected:
        print(f"ambidex: {unexpected} of them failed by an error that nobody foresaw", file=sys.stderr)
    return DataError.exit_code if failed else 0


def _group(predictor: Predictor, options: Namespace) -> Group | None:
    """What takes the clips for one group, where that was asked for."""
    if options.adapt_state is None and options.forgetting is not None:
        raise ParamsError(
            "--forgetting: says how much earlier calls count, and needs their --adapt-state FILE"
        )
    if not options.adapt and options.adapt_state is None:
        return None
    remembered = None if options.adapt_state is None else Path(options.adapt_state)
    return Group(predictor, remembered, 1.0 if options.forgetting is None else options.forgetting)


def _predict(
    predictor: Predictor, wants: Wants, options: Namespace, limits: Limits, group: Group | None
) -> Iterator[Answer | tuple[str, Adaptation]]:
    """What is said about each clip: first those whose name makes no sense, then the others in their order.

    With a `group` those that cannot be read come first, then what was adapted, then the predictions.
    """
    entries: list[tuple[str, Mapping[str, str]]] = []
    for text in options.clips:
        try:
            entries.append((text, clip_cells(text, wants)))
        except DataError as error:
            yield text, str(error)
    start, done = time.monotonic(), 0
    with ExitStack() as stack:
        advance = None
        for batch in read_clips([cells for _, cells in entries], wants, options.workers, limits):
            yield from _answers(predictor, batch, entries, group)
            now = len(batch.rejected) + len(batch.accepted)
            done += now
            left = len(entries) - done
            if advance is not None:
                advance(now)
            elif left and (time.monotonic() - start) / done * left > _PATIENCE:
                advance = stack.enter_context(progress("predict", left, "clips"))
    if group is not None:
        adaptation, predictions = group.predict()
        if adaptation is not None:
            yield "", adaptation
        yield from ((entries[place][0], prediction or _NOTHING) for place, prediction in predictions)


def _tell_adaptation(adaptation: Adaptation, predictor: Predictor, table: "_Table", as_json: bool) -> None:
    """Say what moved, above the table; beside JSON on standard error."""
    for line in adaptation_lines(adaptation, predictor.model.modalities):
        print(f"ambidex: {line}" if as_json else line, file=sys.stderr if as_json else None, flush=True)
    if not as_json:
        print(table.header(), flush=True)


def _check_named(predictor: Predictor, wants: Wants, clips: Sequence[str]) -> None:
    """Raise ModelError where a clip does not name a modality that the model cannot do without."""
    if predictor.model.exchange is None:
        return
    for text in clips:
        with suppress(DataError):  # a name that makes no sense is said later, in its place
            cells = clip_cells(text, wants)
            for name in (name for name in wants if name not in cells):
                raise ModelError(
                    f"{predictor.folder}: its encoders exchange, so that every clip needs {name}"
                )


def _without(predictor: Predictor, wants: Wants, lacking: Mapping[str, int], predicted: int) -> Iterator[str]:
    """A line for each modality that some of the clips that were `predicted` do not name."""
    for name in (name for name in wants if name in lacking):
        trained = ""
        if predictor.model.architecture.fill is None:
            trained = "; the model was trained on samples that have all modalities"
        elif predictor.never_lacked(name):
            trained = f"; the model was trained on samples that all have {name}"
        yield f"{lacking[name]} of {predicted} clips predicted without {name}{trained}"


def _answers(
    predictor: Predictor,
    batch: Batch,
    entries: Sequence[tuple[str, Mapping[str, str]]],
    group: Group | None,
) -> list[Answer]:
    """What is said about the clips of one batch, in order; a clip's sample_id is its place in `entries`.

    Those that can be read go into the `group`, where there is one, and nothing is said about them yet.
    """
    names = [text for text, _ in entries]
    outcomes: dict[int, Prediction | str] = {}
    for bad in batch.rejected:
        place = int(bad.sample_id)
        outcomes[place] = bad.reason if bad.path == names[place] else f"{bad.path}: {bad.reason}"
    if batch.samples:
        places = [int(accepted) for accepted in batch.accepted]
        features = predictor.encode(batch.samples, [entries[place][1] for place in places])
        if group is not None:
            group.add(places, features)
        else:
            for place, prediction in zip(places, predictor.decide(features), strict=True):
                outcomes[place] = prediction or _NOTHING
    return [(names[place], outcomes[place]) for place in sorted(outcomes)]


class _Table:
    """A line for each clip, in columns whose widths are known before the first clip is read."""

    def __init__(self, clips: list[str], predictor: Predictor, top: int) -> None:
        self.modalities = predictor.model.modalities
        self.name = max(len(one_line(text)) for text in ["clip", *clips])
        self.label = max(len(one_line(text, _LABEL)) for text in ["class", *predictor.classes])
        self.top = top

    def header(self) -> str:
        """The names of the columns."""
        shares = "".join(f"  {m:>6}" for m in self.modalities)
        return f"{'clip':<{self.name}}  {'class':<{self.label}}  {'p':>5}{shares}"

    def line(self, name: str, prediction: Prediction) -> str:
        """One clip: class, probability, each modality's share in percent, `-` where it is undefined."""
        (label, p), *others = prediction.probabilities.items()
        shares = ""
        for m in self.modalities:
            share = "-" if prediction.shares is None else f"{prediction.shares[m]:.0%}"
            shares += f"  {share:>{max(6, len(m))}}"
        then = ", ".join(f"{one_line(c, _LABEL)} {q:.3f}" for c, q in others[: self.top - 1])
        start = f"{one_line(name):<{self.name}}  {one_line(label, _LABEL):<{self.label}}"
        return f"{start}  {p:5.3f}{shares}{'  then ' + then if then else ''}"


def _title(predictor: Predictor) -> str:
    """Which model it is, and how it decides."""
    model, path = predictor.model, predictor.folder / CARD_FILE
    card: dict[str, Any] = read_card(path.parent, ModelError) if path.exists() else {}
    facts = [f"{key} {card[key]}" for key in ("method", "regime", "seed") if card.get(key) is not None]
    start = f"{predictor.folder}: {', '.join(facts) or 'a model without records'}"
    if not isinstance(model, Repaired):
        how = "plain sum" if model.fusion.additive else "the head as it was trained, which gives no shares"
        return f"{start}; {how}: no decision layer was fitted (ambidex evaluate --save)"
    spec = model.layer.spec
    fitted = card.get("decision", {}).get("fitted_on", {})
    where = f", fitted on {fitted['samples']} samples of {fitted['split']}" if fitted else ""
    return f"{start}; allocator {spec.allocator}, which weighs {_SOURCES[spec.source]}{where}"


def _json(name: str, outcome: Prediction | str, predictor: Predictor, adaptation: Adaptation | None) -> str:
    if isinstance(outcome, str):
        return json.dumps({"clip": name, "error": outcome})
    label, p = next(iter(outcome.probabilities.items()))
    value: dict[str, Any] = {
        "clip": name,
        "class": label,
        "probability": p,
        "shares": outcome.shares,
        "probabilities": outcome.probabilities,
    }
    if adaptation is not None:
        value["adaptation"] = adaptation_json(adaptation, predictor.model.modalities)
    return json.dumps(value, allow_nan=False)
