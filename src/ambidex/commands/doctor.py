"""`ambidex doctor`: can this machine run everything? One line per check, with what to do where the answer is no."""

import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import ambidex
from ambidex.base.entry_points import any_outside
from ambidex.base.errors import AmbidexError, one_line

OK, WARN, FAIL = "OK", "WARN", "FAIL"
_GIB = 2**30
_LITTLE, _TOO_LITTLE = 2.0, 0.2
"""GiB of free space below which doctor warns, and below which it fails"""
_EXTRAS = {
    "dvc": ("`dvc repro` and `make repro`", "pipeline"),
    "boto3": ("data and results on S3", "pipeline"),
    "kfp": ("the Kubeflow pipeline", "kubeflow"),
}


@dataclass(frozen=True)
class Finding:
    """The outcome of one check, in plain words."""

    level: str
    subject: str
    text: str


def run(options: Namespace) -> int:
    """Print all findings. Exit code 1 where one of them is FAIL."""
    code = report(examine(Path(options.params), Path(options.runs), options.set))
    if _has_remote(Path.cwd()):
        print("the DVC remote of this project was not looked at: `make doctor` checks it too")
    return code


def report(findings: Iterable[Finding]) -> int:
    """Print each finding as it comes, then a summary; 1 where one of them is FAIL, otherwise 0."""
    shown = []
    for finding in findings:
        print(f"{finding.level:<5} {finding.subject:<11} {one_line(finding.text)}", flush=True)
        shown.append(finding)
    failed = sum(finding.level == FAIL for finding in shown)
    print(f"\n{failed} of {len(shown)} checks failed" if failed else "\nready")
    return 1 if failed else 0


def _has_remote(project: Path) -> bool:
    """Whether DVC here has a default remote; its configuration is read as text, since dvc may not be installed."""
    config = project / ".dvc/config"
    return config.is_file() and "remote = " in config.read_text(errors="replace")


def examine(params: Path, runs: Path, overrides: Sequence[str] = ()) -> Iterator[Finding]:
    """Every check, one after the other; a check that breaks is a FAIL with the error's own words."""
    checks: dict[str, Callable[[], Finding | list[Finding]]] = {
        "python": _python,
        "torch": _torch,
        "cpu": _cpu,
        "params": lambda: _params(params, overrides),
        "folder": lambda: _folder(runs),
        "disk": lambda: _disk(runs),
        "media": _media,
        "spectrogram": _spectrogram,
        "plug-ins": _plugins,
    }
    for subject, check in checks.items():
        try:
            findings = check()
            yield from findings if isinstance(findings, list) else [findings]
        except Exception as error:  # whatever is wrong with the machine, the other checks still help
            reason = one_line(error, 200) or type(error).__name__
            yield Finding(
                FAIL, subject, f"{reason}; run `make setup` again, or pip install -c constraints.txt -e ."
            )
    for module in _EXTRAS:
        yield _extra(module)


def _python() -> Finding:
    version = sys.version_info[:3]
    level = OK if (3, 11) <= version < (3, 14) else WARN
    hint = "" if level == OK else "; tested on 3.11 to 3.13 only"
    text = f"ambidex {ambidex.__version__}, Python {platform.python_version()}, {platform.platform()}{hint}"
    return Finding(level, "python", text)


def _torch() -> Finding:
    import torch

    if not torch.cuda.is_available():
        text = f"torch {torch.__version__}, no GPU: everything runs on the CPU, large models slowly"
        return Finding(OK, "torch", text)
    devices = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    names = ", ".join(f"{device.name} ({device.total_memory / _GIB:.0f} GiB)" for device in devices)
    return Finding(OK, "torch", f"torch {torch.__version__}, GPU: {names}")


def _cpu() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    text = f"{cores} cores, load {load:.1f}"
    if load > cores:
        return Finding(WARN, "cpu", f"{text}: other programs compete for them, timings mean little")
    return Finding(OK, "cpu", text)


def _params(path: Path, overrides: Sequence[str]) -> Finding:
    from ambidex.resolve import load_params

    if not path.exists():
        return Finding(
            WARN, "params", f"no {path} here; run from the project's folder or name it with --params"
        )
    try:
        params = load_params(path, overrides)
    except AmbidexError as error:
        return Finding(FAIL, "params", str(error))
    study = params.study
    cells = len(study.methods) * len(study.regimes) * len(study.seeds)
    text = f"{path} is valid: {', '.join(params.modalities)}; {cells} cells in the study"
    return Finding(OK, "params", text)


def _folder(runs: Path) -> Finding:
    place = _existing(runs)
    try:
        with tempfile.TemporaryFile(dir=place):
            return Finding(OK, "folder", f"{runs} can be written")
    except OSError as error:
        text = (
            f"{place} cannot be written ({error.strerror}); choose another with --runs, or change its rights"
        )
        return Finding(FAIL, "folder", text)


def _disk(runs: Path) -> Finding:
    free = shutil.disk_usage(_existing(runs)).free / _GIB
    level = FAIL if free < _TOO_LITTLE else WARN if free < _LITTLE else OK
    hint = "" if level == OK else "; make room, or choose another folder with --runs"
    return Finding(level, "disk", f"{free:.1f} GiB free for {runs}{hint}")


def _existing(path: Path) -> Path:
    """`path`, or the nearest folder above it that exists: where it would be made."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _media() -> Finding:
    """Write a short clip with picture and sound, and read it back the way `extract` does."""
    import av

    from ambidex.commands.sample_clip import write_sample_clip
    from ambidex.data.media.decode import decode
    from ambidex.data.media.requests import Pictures, Sound

    with tempfile.TemporaryDirectory() as folder:
        clip = write_sample_clip(Path(folder) / "clip.mp4")
        waveform, pictures = decode(clip, [Sound(8_000, 0.5), Pictures(2, 32)])
    if waveform.size < 3_000 or pictures.shape != (2, 3, 32, 32):
        return Finding(
            FAIL, "media", f"a clip came back as {waveform.shape} and {pictures.shape}; reinstall av"
        )
    return Finding(OK, "media", f"PyAV {av.__version__} wrote and read back a clip with picture and sound")


def _spectrogram() -> Finding:
    import torch

    from ambidex.data.media.audio import Analysis, spectrogram

    analysis = Analysis(sample_rate=16_000, seconds=1.0, n_fft=400, hop=160, floor=1e-6, mels=64)
    image = spectrogram(torch.zeros(16_000), analysis)
    extension = getattr(sys.modules.get("torchaudio._extension"), "_IS_TORCHAUDIO_EXT_AVAILABLE", False)
    path = (
        "with its compiled extension" if extension else "without its compiled extension, which is not needed"
    )
    version = metadata.version("torchaudio")
    return Finding(OK, "spectrogram", f"torchaudio {version} {path}; one second gives {tuple(image.shape)}")


def _plugins() -> list[Finding]:
    """What other distributions offer; one line more for each plug-in that cannot be used."""
    from ambidex.commands.plugins import registries

    used: list[str] = []
    unused: list[Finding] = []
    for plugins in registries().values() if any_outside() else ():
        used += [f"{plugins.kind} {name} ({plugins.origin(name)})" for name in plugins.outside()]
        unused += [Finding(WARN, "plug-ins", line) for line in plugins.complaints()]
    return [Finding(OK, "plug-ins", ", ".join(used) or "none of other distributions"), *unused]


def _extra(module: str) -> Finding:
    purpose, extra = _EXTRAS[module]
    if importlib.util.find_spec(module) is None:
        return Finding(
            WARN, module, f"not installed; only needed for {purpose}: pip install 'ambidex[{extra}]'"
        )
    return Finding(OK, module, f"{module} {metadata.version(module)}, for {purpose}")
