"""The repository's own sample model, as each format has it."""

import os
from pathlib import Path

import pytest

SAMPLE = Path(__file__).resolve().parents[3] / "tests" / "corpus" / "sample"


@pytest.fixture(scope="session")
def sample() -> Path:
    return SAMPLE


@pytest.fixture(scope="session")
def corpus() -> Path:
    folder = Path(os.environ.get("GLASSBOX_CORPUS", SAMPLE.parents[3] / "shared" / "corpus"))
    if not folder.is_dir():
        pytest.skip("needs the corpus because it reads real files; GLASSBOX_CORPUS or ../shared/corpus names none")
    return folder
