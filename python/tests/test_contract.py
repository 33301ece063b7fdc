"""What a file says of itself is refused here and by fedmq predict (cmd/fedmq), mostly in the same words."""

import json
import pathlib

import numpy as np
import pytest

import fedmq_trainer as fm
from fedmq_trainer import _checked

VECTORS = json.loads((pathlib.Path(__file__).parents[2] / "testdata/vectors/contract.json").read_text(encoding="utf-8"))
TYPES = {"F16": "f2", "F32": "f4", "F64": "f8"}


def test_limits():
    assert VECTORS["limits"] == _checked.LIMITS


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda c: c["id"])
def test_vectors(tmp_path, case):
    meta = {"fedmq.contract": case["contract"], **({"fedmq.about": case["about"]} if "about" in case else {})}
    fm.save(tmp_path / "m", {name: np.zeros(shape, TYPES[kind]) for name, (kind, shape) in case["tensors"].items()}, metadata=meta)
    if "says" not in case:
        assert fm.load(tmp_path / "m").contract == json.loads(case["contract"])
        return
    with pytest.raises(fm.BadFile) as e:
        fm.load(tmp_path / "m")
    assert case["says"] in str(e.value)


def named(n):
    return [str(i) for i in range(n)]


@pytest.mark.parametrize(("change", "says"), [
    ({"inputs": [{"name": i} for i in named(4000)], "target": {"name": "x" * 98000}}, "bytes, want at most 98304"),
    ({"inputs": [{"name": "a", "values": named(257)}]}, "values: want 1 to 256, not 257"),
    ({"target": {"name": "y", "classes": named(4097)}}, "classes: want 2 to 4096, not 4097"),
    ({"window": {"group": named(65), "rows": 3, "stats": ["mean"]}}, "group: want 1 to 64, not 65"),
    ({"inputs": [{"name": "a", "values": named(256)}], "features": [{"of": "a"}] * 513}, "features: want at most 131072"),
    ({"window": {"group": ["u"], "rows": 3, "stats": ["mean" + "1" * 5000]}}, "want 1 to 3 rows"),
    ({"zclip": [[]] * 5}, "want a number"),
])
def test_what_is_too_large(tmp_path, change, says):
    contract = {"inputs": [{"name": "a"}], "target": {"name": "y"}, "net": {"output": "identity"}, **change}
    fm.save(tmp_path / "m", {"w": np.zeros(3)}, metadata={"fedmq.contract": json.dumps(contract)})
    with pytest.raises(fm.BadFile, match=says):
        fm.load(tmp_path / "m")


def test_deep(tmp_path):
    fm.save(tmp_path / "m", {"w": np.zeros(3)}, metadata={"fedmq.contract": "[" * 90000})
    with pytest.raises(fm.BadFile, match="fedmq.contract: bad contract"):
        fm.load(tmp_path / "m")
