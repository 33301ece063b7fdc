"""What a file predicts, against what its trainer would."""

import json
import pickle

import numpy as np
import pytest

import fedmq_trainer as fm
from models import MODELS, rows_of, write


def test_numbers_by_hand(tmp_path):
    contract = {"inputs": [{"name": "flow", "unit": "m3/h"}, {"name": "mode", "values": ["idle", "run"]}],
                "features": [{"of": "flow", "clip": 100, "slog": 10, "missing_flag": True}, {"of": "mode", "missing_flag": True}], "zclip": 2,
                "target": {"name": "result", "classes": ["ok", "fault"]}, "net": {"tensors": "layers", "output": "softmax"}}
    tensors = {"layers.0.weight": np.eye(2, 5, dtype="f4"), "layers.0.bias": np.zeros(2, "f4"),
               "fedmq.mean": np.array([1, 0, .5, .5, 0]), "fedmq.sd": np.array([.5, 0, .5, .5, 1])}
    fm.save(tmp_path / "m", tensors, metadata={"fedmq.contract": json.dumps(contract)})
    m = fm.load(tmp_path / "m")
    x = {"flow": [90.0, -500.0, float("nan")], "mode": ["run", "clean", " idle"]}
    want = [[0, 0, -1, 1, 0],  # log10(1 + 90/10) = 1, the mean
            [-2, 0, 0, 0, 1],  # clipped to -100, -log10(11) is 4 deviations below; clean is none of the values
            [0, 1, 1, -1, 0]]  # missing, and flagged
    assert m.transform(x).tolist() == want
    assert m.features == ["flow", "mode"] and m.classes_.tolist() == ["ok", "fault"]
    assert m.predict(x).tolist() == ["ok", "fault", "fault"]
    np.testing.assert_allclose(m.predict_proba(x)[1, 1], 1 / (1 + np.exp(-2)))
    for same in ([dict(zip(x, row)) for row in zip(*x.values())], np.array(list(zip(*x.values())), dtype=object)):
        assert m.transform(same).tolist() == want


@pytest.mark.parametrize("name", MODELS)
def test_scikit_learn_predicts_the_same(tmp_path, name):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    write(name, tmp_path / "m")
    m, x = fm.load(tmp_path / "m"), rows_of(name, 50)
    other = pickle.loads(pickle.dumps(m.to_sklearn()))
    if "classes" not in m.contract["target"]:
        np.testing.assert_allclose(other.predict(x), m.predict(x), atol=1e-9)
        return
    if "threshold" in m.about:
        at = m.classes_.tolist().index("ok")
        assert (m.predict(x) == "ok").tolist() == (m.predict_proba(x)[:, at] >= 0.3).tolist()
        assert m.predict(x).tolist() != other.predict(x).tolist()
    else:
        assert other.predict(x).tolist() == m.predict(x).tolist()
    assert other.classes_.tolist() == m.classes_.tolist()
    if m.contract["net"]["output"] != "margin":
        np.testing.assert_allclose(other.predict_proba(x), m.predict_proba(x), atol=1e-9)


def test_state_dict_is_the_network(tmp_path):
    write("softmax", tmp_path / "m")
    assert sorted(fm.load(tmp_path / "m").state_dict()) == ["layers.0.bias", "layers.0.weight"]
    contract = {"inputs": [{"name": "a"}], "target": {"name": "y"}, "net": {"output": "identity"}}
    fm.save(tmp_path / "m", {"w": np.ones(1), "fedmq.c/w": np.zeros(1)}, {"fedmq.c/w": "keep"}, {"fedmq.contract": json.dumps(contract)})
    assert sorted(fm.load(tmp_path / "m").state_dict()) == ["w"]


def test_what_a_file_does_not_say(tmp_path):
    fm.save(tmp_path / "m", {"w": np.zeros(3)})
    m = fm.load(tmp_path / "m")
    assert m.tensors["w"].tolist() == [0, 0, 0] and m.rules == {} and m.contract is None
    with pytest.raises(ValueError, match="the file has no fedmq.contract"):
        m.predict([[1.0]])
    contract = {"inputs": [{"name": "a"}], "target": {"name": "y", "classes": ["u", "v"]}, "net": {"output": "softmax"}}
    fm.save(tmp_path / "m", {"conv.weight": np.zeros(3)}, metadata={"fedmq.contract": json.dumps(contract)})
    with pytest.raises(ValueError, match=r"only its own program knows the network.*load\(FILE, net\).*--skeleton"):
        fm.load(tmp_path / "m").predict([[1.0]])
    with pytest.raises(fm.BadFile, match="fedmq.contract"):
        fm.save(tmp_path / "m", {"w": np.zeros(3)}, metadata={"fedmq.contract": "{"})
        fm.load(tmp_path / "m")


def test_tensors_that_stay_at_the_sites(tmp_path):
    contract = {"inputs": [{"name": "a"}], "target": {"name": "y"}, "net": {"tensors": "coef", "output": "identity"}}
    tensors = {"coef": np.ones((1, 1)), "intercept": np.ones(1)}

    def of(about):
        fm.save(tmp_path / "m", tensors, metadata={"fedmq.contract": json.dumps(contract), "fedmq.about": json.dumps(about)})
        return fm.load(tmp_path / "m")

    m = of({"task": "q", "local": ["intercept"]})
    assert m.about["local"] == ["intercept"] and sorted(m.state_dict()) == ["coef", "intercept"]
    for use in (lambda: m.predict([[1.0]]), m.to_sklearn):
        with pytest.raises(ValueError, match="intercept stay at the sites .*fedmq model get --own DATA_DIR"):
            use()
    assert of({"task": "q", "local": ["intercept"], "own": "acme/a"}).predict([[1.0]]).tolist() == [2]


def test_a_network_of_ones_own(tmp_path):
    contract = {"inputs": [{"name": "a"}, {"name": "b"}], "target": {"name": "y", "classes": ["u", "v"]}, "net": {"output": "softmax"}}
    fm.save(tmp_path / "m", {"w": np.zeros(3)}, metadata={"fedmq.contract": json.dumps(contract)})
    m = fm.load(tmp_path / "m", lambda x: x * [1, 2])
    assert m.predict([[3, 1], [1, 3]]).tolist() == ["u", "v"]
    with pytest.raises(ValueError, match="net is a int"):
        fm.load(tmp_path / "m", 3)


def test_torch_module(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3), torch.nn.Tanh(), torch.nn.Linear(3, 2))
    contract = {"inputs": [{"name": "a"}, {"name": "b"}], "target": {"name": "y", "classes": ["u", "v"]}, "net": {"output": "softmax"}}
    fm.save(tmp_path / "m", {k: v.numpy() for k, v in net.state_dict().items()}, metadata={"fedmq.contract": json.dumps(contract)})
    other = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3), torch.nn.Tanh(), torch.nn.Linear(3, 2))
    m = fm.load(tmp_path / "m", other)
    x = np.random.default_rng(1).normal(size=(20, 2))
    with torch.no_grad():
        want = torch.softmax(net.eval()(torch.from_numpy(x).float()), 1).numpy()
    np.testing.assert_allclose(m.predict_proba(x), want, atol=1e-6)
    with pytest.raises(ValueError, match="differ in"):
        fm.load(tmp_path / "m", torch.nn.Linear(2, 2))
