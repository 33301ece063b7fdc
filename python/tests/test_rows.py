"""Rows of every shape that people have, and what is said of those that cannot be read."""

import csv
import datetime
import json

import numpy as np
import pytest

import fedmq_trainer as fm

CONTRACT = {"inputs": [{"name": "flow"}, {"name": "mode", "values": ["idle", "7", "true"]}, {"name": "kpa"}],
            "target": {"name": "y", "classes": ["u", "v"]}, "net": {"output": "softmax"}}
NAN = float("nan")


@pytest.fixture
def model(tmp_path):
    fm.save(tmp_path / "m", {"w": np.zeros(3)}, metadata={"fedmq.contract": json.dumps(CONTRACT)})
    return fm.load(tmp_path / "m", lambda z: z[:, :2])


def test_what_is_read(model):
    """Texts of a reader of csv, codes that became floats, flags, what pandas has for a missing value."""
    text = "flow,mode,kpa\n1.5,idle,\n true ,7,-1e3\n"
    want = [[1.5, 1, 0, 0, 0], [1, 0, 1, 0, -1000]]
    assert model.transform(list(csv.DictReader(text.splitlines()))).tolist() == want
    assert model.transform([(1.5, "idle", None), (True, 7.0, -1000)]).tolist() == want
    assert model.transform({"flow": [[1.5], [1]], "mode": ["idle", 7], "kpa": np.array([NAN, -1000])}).tolist() == want
    assert model.transform({"flow": [1], "mode": [True], "kpa": [2]}).tolist() == [[1, 0, 0, 1, 2]]
    assert model.transform({"flow": [1], "mode": [NAN], "kpa": [2]}).tolist() == [[1, 0, 0, 0, 2]]
    assert model.transform({"flow": [], "mode": [], "kpa": []}).shape == (0, 5)


def test_frames(model):
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pd.DataFrame({"flow": pd.array([1, None], dtype="Int64"), "mode": pd.Categorical(["idle", None]), "kpa": ["2", "3"], "more": 0})
    assert model.transform(frame).tolist() == [[1, 1, 0, 0, 2], [0, 0, 0, 0, 3]]
    with pytest.raises(ValueError, match="column 'flow' has .* each name once"):
        model.transform(pd.concat([frame, frame[["flow"]]], axis=1))
    with pytest.raises(ValueError, match="row 0: flow is .*2026.* want a finite number"):
        model.transform(frame.assign(flow=pd.Timestamp("2026-01-31")))


GOOD = {"flow": [1.0, 2.0], "mode": ["idle", "7"], "kpa": [1.0, 2.0]}


@pytest.mark.parametrize(("x", "says"), [
    ({**GOOD, "kpa": ["1", "2,5"]}, "row 1: kpa is '2,5', want a finite number, with a decimal point: pandas.read_csv has decimal=','"),
    ({**GOOD, "kpa": [1, "n/k"]}, "row 1: kpa is 'n/k', want a finite number, NaN or None where it is missing"),
    ({**GOOD, "kpa": [1, "1_0"]}, "row 1: kpa is '1_0', want a finite number"),
    ({**GOOD, "kpa": [1.0, float("inf")]}, "row 1: kpa is .*inf.*, want a finite number"),
    ({**GOOD, "kpa": [1.0, 1j]}, "row 1: kpa is 1j, want a finite number"),
    ({**GOOD, "flow": np.array(["2026-01-31", "2026-02-01"], dtype="M8[s]")}, "row 0: flow is .*2026.*, want a finite number"),
    ({**GOOD, "flow": [datetime.datetime(2026, 1, 31), 1]}, "row 0: flow is datetime.*, want a finite number"),
    ({**GOOD, "flow": [[1, 2], [3, 4]]}, r"column 'flow' has \[2, 2\] values"),
    ({**GOOD, "kpa": [1.0]}, "kpa has 1 rows, flow has 2"),
    ({"flow": [1.0], "kpa": [1.0]}, "no column 'mode': want flow, mode, kpa, got flow, kpa"),
    ([{"flow": 1}, 3], "row 1 is a int, row 0 a mapping"),
    ([{"flow": 1, "mode": "idle"}], "no column 'kpa': want flow, mode, kpa, got flow, mode"),
    ([[1, 2, 3], [1, 2]], "want rows of 3 values, flow, mode, kpa; row 1 has 2"),
    ([1, 2, 3], r"want rows of 3 values, flow, mode, kpa, got an array \[3\]"),
    (np.zeros((2, 4)), r"want rows of 3 values, flow, mode, kpa, got an array \[2, 4\]"),
    (7, r"want rows of 3 values, flow, mode, kpa, got an array \[\]"),
    ("rows.csv", r"want rows of 3 values, flow, mode, kpa, got an array \[\]"),
])
def test_what_cannot_be_read(model, x, says):
    with pytest.raises(ValueError, match=says):
        model.predict(x)


def test_what_the_network_gives(tmp_path):
    fm.save(tmp_path / "m", {"w": np.zeros(3)}, metadata={"fedmq.contract": json.dumps(CONTRACT)})
    with pytest.raises(ValueError, match=r"the network gives \[2, 5\] for 2 rows, want \[2, 2\] for u, v"):
        fm.load(tmp_path / "m", lambda z: z).predict(GOOD)
    value = {"inputs": [{"name": "a"}], "target": {"name": "y"}, "net": {"tensors": "coef", "output": "identity"}}
    fm.save(tmp_path / "m", {"coef": np.full(1, 1e300), "intercept": np.zeros(1)}, metadata={"fedmq.contract": json.dumps(value)})
    assert fm.load(tmp_path / "m").predict([[1e-300], [2e-300]]).tolist() == [1, 2]
    with pytest.raises(ValueError, match="row 1 has no prediction"):
        fm.load(tmp_path / "m").predict([[1], [1e10]])
