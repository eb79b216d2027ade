"""Names that people write: what goes, what stays, what is one name, what only looks like one."""

import unicodedata

import pytest

from ambidex.data.datasets._names import clean, look_alikes, merged


@pytest.mark.parametrize(
    ("kind", "written", "name"),
    [
        ("zero-width", "an\u200bna", "anna"),
        ("zero-width", "anna\u2060", "anna"),
        ("zero-width", "a\u200cn\u200dna", "anna"),
        ("byte order mark", "\ufeffanna", "anna"),
        ("byte order mark", "anna\ufeff", "anna"),
        ("byte order mark", "an\ufeffna", "anna"),
        ("no-break space", "anna\u00a0", "anna"),
        ("no-break space", "anna\u00a0berg", "anna berg"),
        ("no-break space", "anna\u202fberg", "anna berg"),
        ("other spaces", "anna\u2007berg", "anna berg"),
        ("other spaces", "anna\u3000berg", "anna berg"),
        ("other spaces", "anna\u2028berg", "anna berg"),
        ("direction", "\u200eanna", "anna"),
        ("direction", "\u202eanna\u202c", "anna"),
        ("direction", "\u2066anna\u2069", "anna"),
        ("soft hyphen, fillers", "an\u00adna", "anna"),
        ("soft hyphen, fillers", "anna\u3164", "anna"),
        ("soft hyphen, fillers", "anna\u034f", "anna"),
        ("forms", "cafe\u0301", "caf\u00e9"),
        ("forms", "A\u030angstro\u0308m", "\u00c5ngstr\u00f6m"),
        ("forms", "\u1112\u1161\u11ab", "\ud55c"),
        ("forms", "e\u200b\u0301", "\u00e9"),  # what goes stood between a letter and its accent
        ("presentation", "\u2714\ufe0f", "\u2714"),
        ("plain", "  anna  ", "anna"),
        ("plain", "anna  berg", "anna  berg"),
        ("plain", "caf\u00e9", "caf\u00e9"),
    ],
)
def test_what_nobody_sees_goes(kind, written, name):
    assert clean(written) == name, kind
    assert clean(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian: a joiner between Arabic letters
        "\u0915\u094d\u200d\u0937",  # Hindi: a joiner after a virama
        "\U0001f469\u200d\U0001f52c",  # emoji: woman, joiner, microscope
        "\U0001f469\U0001f3fd\u200d\U0001f52c",
        "\u0600\u0661",  # a number sign of Arabic counts as format character and is drawn
    ],
)
def test_a_joiner_stays_where_the_script_needs_it(name):
    assert clean(name) == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("case", ("Dog", "dog")),
        ("case", ("DOG", "Dog", "dog")),
        ("case", ("Stra\u00dfe", "STRASSE")),
        ("numbers", ("1", "01")),
        ("numbers", ("1", "1.0")),
        ("numbers", ("007", "7", "7.00")),
        ("numbers", ("+3", "3")),
        ("numbers", ("-0.50", "-.5")),
        ("spaces", ("ice cream", "icecream")),
        ("spaces", ("ice cream", "ice  cream")),
        ("spaces", ("ice cream", "ice_cream")),
        ("width", ("A1", "\uff21\uff11")),
        ("width", ("5", "\uff15")),
        ("width", ("\ufb01sh", "fish")),
        ("hyphens", ("x-ray", "x\u2010ray")),
        ("hyphens", ("x-ray", "x\u2013ray")),
        ("hyphens", ("-1", "\u22121")),
        ("scripts", ("anna", "\u0430nna")),
        ("scripts", ("PETRA", "P\u0415TR\u0410")),
        ("scripts", ("NOTE", "\u039d\u039f\u03a4\u0395")),
        ("quotes", ("it's", "it\u2019s")),
    ],
)
def test_look_alikes_are_noted_and_stay(kind, names):
    (note,) = look_alikes("label", [*names, "other", "another"])
    assert note.startswith("labels that look alike and stay different: "), kind
    assert all(f"'{name}'" in note for name in names)
    assert "other" not in note
    assert note.isprintable()


@pytest.mark.parametrize(
    "names",
    [("1", "-1"), ("1", "10"), ("0.1", "0.01"), ("a", "b"), ("e\u0301", "e"), ("1", "1.5"), ("", "a")],
)
def test_different_names_are_not_noted(names):
    assert look_alikes("label", names) == []


def test_names_that_became_one_are_noted_and_edge_blanks_too():
    assert merged("class", ["cafe\u0301", "caf\u00e9", "b"]) == [
        "one class where Unicode forms, spaces or invisible characters differ: 'caf\u00e9'"
    ]
    (note,) = merged("group", ["anna", "anna\u200b", "b", "b ", "c", "\ufeffc", "d", "d\u00a0"])
    assert note.endswith("differ: 'anna', 'b', 'c' (and 1 more)")
    assert merged("class", ["a", "a", "A"]) == []
