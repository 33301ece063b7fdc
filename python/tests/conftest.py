import json
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def vectors():
    """The vectors that the Go tests read too."""
    return json.loads((ROOT / "testdata/vectors/trainer/trainer.json").read_text(encoding="utf-8"))
