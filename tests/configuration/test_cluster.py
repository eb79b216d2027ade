"""Amounts and names as Kubernetes takes them: tables of what its documentation allows and refuses."""

from collections.abc import Callable
from fractions import Fraction

import pytest

from ambidex.configuration.cluster import names, quantities

# The grammar of resource.Quantity: <sign><digits>[.<digits>] and one of n u m "" k M G T P E, Ki ... Ei, e<n>, E<n>.
AMOUNTS = {
    "0": 0,
    "4": 4,
    "+4": 4,
    "-4": -4,
    "0.5": Fraction(1, 2),
    ".5": Fraction(1, 2),
    "5.": 5,
    "100m": Fraction(1, 10),
    "1k": 1000,
    "1M": 10**6,
    "1G": 10**9,
    "1E": 10**18,
    "1E3": 1000,
    "1e3": 1000,
    "12e-1": Fraction(6, 5),
    "1Ki": 1024,
    "16Gi": 16 * 2**30,
    "1.5Gi": 3 * 2**29,
    "1Ei": 2**60,
    "250u": Fraction(1, 4000),
    "7n": Fraction(7, 10**9),
    "129e6": 129 * 10**6,
    "129M": 129 * 10**6,
    "123Mi": 123 * 2**20,
}
NO_AMOUNTS = (
    "", " 4", "4 ", "4 Gi", "4GB", "4gi", "4K", "4ki", "4KI", "4Mb", "lots", "1.2.3", ".", "+", "1e", "1e2.5",
    "1e3Gi", "1Gi3", "0x10", "1_000", "1,5", "٤", "Infinity", "nan", "1e9999", "9" * 50, "4\n", "--4", "1mi", "1Gim",
)  # fmt: skip


@pytest.mark.parametrize(("text", "amount"), AMOUNTS.items())
def test_an_amount_is_what_kubernetes_reads(text: str, amount: int | Fraction) -> None:
    assert quantities.parse(text) == amount


@pytest.mark.parametrize("text", NO_AMOUNTS)
def test_what_is_no_amount_is_refused(text: str) -> None:
    for check in (quantities.cpu, quantities.memory):
        with pytest.raises(
            ValueError, match=r"^got .*, expected an amount such as 4, 500m or 16Gi"
        ) as caught:
            check(text)
        assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("check", "text", "message"),
    [
        (quantities.cpu, "0", "expected more than 0"),
        (quantities.cpu, "-1", "expected more than 0"),
        (quantities.cpu, "0.0005", "steps of 1m"),
        (quantities.cpu, "100u", "steps of 1m"),
        (quantities.cpu, "100E", "more than Kubernetes can count"),
        (quantities.memory, "0", "expected more than 0"),
        (quantities.memory, "0Gi", "expected more than 0"),
        (quantities.memory, "400m", "thousandths of a byte; 400Mi are mebibytes"),
        (quantities.memory, "0.1Gi", "no whole number of bytes"),
        (quantities.memory, "16", "16 bytes: too little for any pod"),
        (quantities.memory, "16k", "too little for any pod"),
        (quantities.memory, "16Ei", "more than Kubernetes can count"),
        (quantities.memory, "16GB", "expected an amount such as 4, 500m or 16Gi; 16Gi?"),
        (quantities.memory, "16 gb", "; 16Gi?"),
    ],
)
def test_what_kubernetes_would_not_run_is_refused(
    check: Callable[[str], str], text: str, message: str
) -> None:
    with pytest.raises(ValueError, match="got ") as caught:
        check(text)
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["4", "0.5", "500m", "1e3", ".5", "1.5", "2E0", "+2"])
def test_cores_mean_the_same_as_kfp_takes_them(text: str) -> None:
    assert quantities.parse(quantities.millicores(quantities.cpu(text))) == quantities.parse(text)


@pytest.mark.parametrize(
    ("text", "form"),
    [("16Gi", "16Gi"), ("1.5Gi", "1536Mi"), ("1e9", "1000000000"), ("129M", "129000000"),
     ("1024Mi", "1Gi"), ("+16Gi", "16Gi")],
)  # fmt: skip
def test_memory_means_the_same_as_kfp_takes_it(text: str, form: str) -> None:
    found = quantities.whole_bytes(quantities.memory(text))
    assert quantities.parse(found) == quantities.parse(text)
    assert quantities.parse(found) == quantities.parse(form)


A63, A64 = "a" * 63, "a" * 64
TABLE: dict[Callable[[str], str], tuple[tuple[str, ...], tuple[str, ...]]] = {
    names.object_name: (
        ("a", "ambidex-s3", "a.b-c.1", "1a", A64, ".".join([A63] * 3)),
        ("", "A", "a_b", "-a", "a-", "a..b", ".a", "a.", "a.-b", "a b", "a" * 254, "ä", "a\n", "a/b"),
    ),
    names.volume_name: (("ambidex-work", "1", A63), ("", "a.b", A64, "A", "-a", "a_b", "work-")),
    names.label_key: (
        ("pool", "example.com/pool", "A_b.c-D", f"example.com/{A63}", "nvidia.com/gpu", "cloud.google.com/gke-x"),
        ("", "/pool", "example.com/", "a b", "-a", "a-", A64, "Example.com/a", "a/b/c", "a..b/c", "ä", "pool\n"),
    ),
    names.own_label_key: (("team", "example.com/team"), ("pipeline/runid", "workflows.argoproj.io/workflow")),
    names.label_value: (("", "a", "A.b_c-1", "8", A63), (A64, "-a", "a-", "a b", "a/b", "ä", "a\n")),
    names.device: (
        ("nvidia.com/gpu", "amd.com/gpu", "nvidia.com/mig-1g.5gb", "google.com/tpu", "gpu.intel.com/i915"),
        ("", "gpu", "NVIDIA H100!!", "NVIDIA_TESLA_K80", "kubernetes.io/gpu", "a.kubernetes.io/b", "requests.x.com/gpu",
         "nvidia.com/", "/gpu", "nvidia.com/gpu ", "cpu", "memory", f"nvidia.com/{A64}"),
    ),
    names.secret_key: (
        ("key", "access_key.id-1", ".hidden", "a" * 253), ("", ".", "..", "..a", "a/b", "a b", "a" * 254)
    ),
    names.variable: (
        ("AWS_ACCESS_KEY_ID", "_X1"),
        ("", "a", "1A", "A-B", "A B", "A=1", "PATH", "HOME", "LD_PRELOAD", "PYTHONPATH",
         "AMBIDEX_WORK", "KFP_POD_NAME"),
    ),
    names.folder: (
        ("/work", "/mnt/ambidex.work", "/data_1/x"),
        ("", "work", "/", "/work/", "//work", "/a/../b", "/a/.", "/a b", "/a:b", "/app", "/app/x", "/opt", "/opt/venv",
         "/home", "/home/ambidex/x", "/dev/shm", "/kfp-launcher", "/tmp/x", "/usr/lib"),
    ),
    names.image: (
        ("ambidex", "ambidex:local", "localhost/ambidex:1", "registry.example.com:5000/a/b_c:v1.2-gpu",
         "ambidex@sha256:" + "0" * 64, "r.io/a:1@sha256:" + "a" * 64, "a__b"),
        ("", "Ambidex:1", "a b", "ambidex:", "ambidex:-x", "ambidex@sha256:0123", "ambidex@md5:0123", "https://r.io/a",
         "r.io//a", "/a", "a/", "me:pw@r.io/a", "a:" + "x" * 129, "ambidex:1\n", "$(id)"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("check", "text"), [(check, text) for check, (good, _) in TABLE.items() for text in good]
)
def test_a_name_passes(check: Callable[[str], str], text: str) -> None:
    assert check(text) == text


@pytest.mark.parametrize(
    ("check", "text"), [(check, text) for check, (_, bad) in TABLE.items() for text in bad]
)
def test_what_the_cluster_would_refuse_is_one_line(check: Callable[[str], str], text: str) -> None:
    with pytest.raises(ValueError, match=r"^got ") as caught:
        check(text)
    line = str(caught.value)
    assert ", expected " in line
    assert "\n" not in line
    assert len(line) < 300
    assert "pw@" not in line
