"""The verbs that run a stage: their help texts. What they read, write and are short for stands in the stage table."""

from dataclasses import dataclass

from ambidex.stages.table import TABLE


@dataclass(frozen=True)
class Verb:
    """One stage as the command line offers it."""

    name: str
    summary: str
    text: str
    example: str
    switches: tuple[tuple[str, str], ...] = ()
    """(flag, key): `--flag` is short for `--set key=true`"""
    not_out: str = "an output is named with --out FOLDER"
    """what to write instead of the output's name as a flag, which is easily taken for an input"""

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the inputs, each a flag that replaces the place it is read from."""
        return tuple(read.artefact.name for read in TABLE[self.name].reads)

    @property
    def writes(self) -> str:
        """Name of the output; `--out` replaces the place it is written to."""
        return TABLE[self.name].writes.name

    @property
    def flags(self) -> tuple[tuple[str, str], ...]:
        """(flag, key): `--flag VALUE` is short for `--set key=VALUE`."""
        return TABLE[self.name].flags


PATHS = {
    artefact.name: artefact.about
    for stage in TABLE.values()
    for artefact in (*(read.artefact for read in stage.reads), stage.writes)
}
"""what stands in the folder of each input and output"""

STAGE_VERBS = (
    Verb(
        name="prepare",
        summary="find (or make) the samples and write the manifest",
        text="Reads the data set that params.yaml names, splits it into train, val and test where it has no split,\n"
        "and writes manifest.csv: a row per sample with its label, split, group and the path of each modality.",
        example="ambidex prepare --set prepare.dataset=manifest --set prepare.source=my_clips.csv",
        not_out="to read a list of samples, write --set prepare.dataset=manifest --set prepare.source=FILE.csv; the "
        "folder to write is named with --out FOLDER",
    ),
    Verb(
        name="extract",
        summary="decode the media into the feature store",
        text="Decodes every audio, video or image file of the manifest once and stores fixed-size tensors.\n"
        "Broken files are listed in rejected.csv. A run that was stopped goes on where it was.\n"
        "With --part only a share of the shards, so that several machines work at once; merge joins the parts.",
        example="ambidex extract --set extract.workers=4 --part 0/4",
    ),
    Verb(
        name="merge",
        summary="join the parts of a feature store that several extracts made",
        text="Checks that every part is there once and that all were made alike, and writes the same feature store\n"
        "that one extract of everything would have written, byte for byte.",
        example="ambidex merge --parts /volume/parts",
    ),
    Verb(
        name="pretrain",
        summary="train one classifier per modality, alone",
        text="Trains a classifier on each modality alone. Its encoder serves the regimes pretrained and frozen;\n"
        "its accuracy says what the modality is worth. Without --modality: all modalities, one after the other.",
        example="ambidex pretrain --modality audio --seed 1",
    ),
    Verb(
        name="train",
        summary="train one model on all modalities together",
        text="Trains the whole model with one balancing method. The regime says where the encoders come from:\n"
        "scratch (random), pretrained (and trained further) or frozen (only the decision layer is trained).\n"
        "A run that was stopped goes on from its last epoch and ends with the same weights.",
        example="ambidex train --method ogm_ge --regime pretrained --seed 1",
    ),
    Verb(
        name="crossfit",
        summary="score the training split by models that never saw it, for data without validation",
        text="Trains the method once per fold, encoders included, on the other folds, and keeps what each model\n"
        "says about the fold that it never saw. With `--set evaluate.fit_on=crossfit`, evaluate fits the decision\n"
        "layer on that instead of a validation split. A run that was stopped keeps its finished folds.",
        example="ambidex crossfit --method joint --regime frozen --seed 1 --set crossfit.folds=3",
    ),
    Verb(
        name="evaluate",
        summary="diagnose one trained model and repair its decision layer",
        text="Measures the model on validation and test, shows how much each modality decides, fits the weights\n"
        "of the decision layer on validation data (or a cross-fitted training split), and writes report.html.\n"
        "Where an allocator needs classifiers and the model has none, evaluate.standalone says what happens:\n"
        "it reads linear probes of the features (probes), or it is refused (refuse).",
        example="ambidex evaluate --method ogm_ge --regime pretrained --seed 1 --allocator modality --save",
        switches=(("save", "evaluate.save"),),
    ),
    Verb(
        name="compare",
        summary="put all evaluated models into one table",
        text="Collects the reports of a study into one table: mean and deviation over seeds, and whether a method\n"
        "differs from the reference beyond chance.",
        example="ambidex compare --show",
        not_out="the folder to write is named with --out FOLDER; --study names the one that --show prints",
    ),
)
