"""What the image installs: the library, DVC with S3, Kubeflow, and what the library itself is built with."""

import sys
import tomllib
from pathlib import Path

EXTRAS = ("pipeline", "kubeflow")


def requirements(pyproject: Path) -> list[str]:
    """The lines of a requirements file, sorted."""
    read = tomllib.loads(pyproject.read_text())
    project = read["project"]
    lists = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in EXTRAS)]
    return sorted({line for lines in [*lists, read["build-system"]["requires"]] for line in lines})


if __name__ == "__main__":
    print("\n".join(requirements(Path(sys.argv[1]))))
