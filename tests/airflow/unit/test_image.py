"""The image is built with the libraries that the build needs: whoever adds one adds it to deploy/Dockerfile, too."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_image_has_the_libraries_of_the_build() -> None:
    groups = dict(line.split(":", 1) for line in (ROOT / "tools/packages.txt").read_text().splitlines() if ":" in line)
    libraries = {name for name in groups["build"].split() if name.endswith("-dev") and not name.startswith("libclang")}
    assert len(libraries) > 10
    stage = (ROOT / "deploy/Dockerfile").read_text().split("FROM ")[1]
    assert libraries <= set(re.findall(r"\S+", stage))
