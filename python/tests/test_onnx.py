"""What fedmq model export writes, in onnxruntime, against fedmq_trainer.load.

FEDMQ_PROGRAM is the fedmq to test, FEDMQ_ONNX_PYTHON a Python that has onnx and
onnxruntime: make test-python sets both.
"""

import csv
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import fedmq_trainer as fm
from models import MODELS, about_of, contract_of, rows_of, write

FEDMQ, PYTHON = os.environ.get("FEDMQ_PROGRAM"), os.environ.get("FEDMQ_ONNX_PYTHON")
if not FEDMQ or not PYTHON:
    pytest.skip("FEDMQ_PROGRAM or FEDMQ_ONNX_PYTHON is not set", allow_module_level=True)


def fedmq(*args, **more):
    return subprocess.run([FEDMQ, *map(str, args)], capture_output=True, text=True, encoding="utf-8", **more)


def run_onnx(files):
    """Outputs, metadata and versions of files, from an interpreter of its own."""
    text = json.dumps({str(path): {k: [None if isinstance(x, float) and np.isnan(x) else x for x in v] for k, v in given.items()}
                       for path, given in files.items()})
    p = subprocess.run([PYTHON, pathlib.Path(__file__).with_name("onnx_run.py")], input=text, capture_output=True, text=True, encoding="utf-8")
    assert p.returncode == 0, p.stderr
    return json.loads(p.stdout)


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """Every model as ONNX, with what onnxruntime and fedmq predict make of 200 rows."""
    folder, files, tables = tmp_path_factory.mktemp("onnx"), {}, {}
    for name in MODELS:
        write(name, folder / name)
        p = fedmq("model", "export", folder / name, "--onnx", folder / f"{name}.onnx")
        assert p.returncode == 0, p.stderr
        rows = {k: v.tolist() for k, v in rows_of(name, 200).items()}
        files[folder / f"{name}.onnx"] = rows
        lines = [[*rows], *([v if v == v else "" for v in row] for row in zip(*rows.values()))]
        p = fedmq("predict", folder / name, input="".join(",".join(map(str, line)) + "\n" for line in lines))
        assert p.returncode == 0, p.stderr
        tables[name] = list(csv.DictReader(p.stdout.splitlines()))
    ran = run_onnx(files)
    return {path.stem: (fm.load(folder / path.stem), ran[str(path)], tables[path.stem]) for path in files}


def numbers(table, *columns):
    return np.array([[float(row[c]) for c in columns] for row in table])


@pytest.mark.parametrize("name", MODELS)
def test_the_same_numbers(exported, name):
    """fedmq predict, fedmq_trainer.load and onnxruntime."""
    model, ran, table = exported[name]
    x, out = rows_of(name, 200), ran["outputs"]
    assert ran["opset"] == {"": 17, "ai.onnx.ml": 3}
    assert json.loads(ran["meta"]["fedmq.contract"]) == contract_of(name) and json.loads(ran["meta"]["fedmq.about"]) == about_of(name)
    if "classes" not in model.contract["target"]:
        np.testing.assert_allclose(np.ravel(out["value"]), model.predict(x), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(numbers(table, "predicted")[:, 0], model.predict(x), rtol=1e-5, atol=1e-5)
        return
    # An input is called class: the output has another name, and the same place.
    margin = model.contract["net"]["output"] == "margin"
    assert list(out) == ["class_", "scores" if margin else "probabilities"]
    assert out["class_"] == model.predict(x).tolist() == [row["predicted"] for row in table]
    want = model.decision_function(x) if margin else model.predict_proba(x)
    np.testing.assert_allclose(list(out.values())[1], want, rtol=1e-5, atol=1e-5)
    columns = [("score_" if margin else "p_") + c for c in model.classes_]
    np.testing.assert_allclose(numbers(table, *columns), want, rtol=1e-5, atol=1e-5)


def test_a_window_wants_its_statistics(tmp_path):
    contract = {"inputs": [{"name": "t"}, {"name": "mode", "values": ["idle", "run"]}],
                "features": [{"of": "t", "clip": 5}, {"of": "mode"}, {"of": "t", "log1p": True}],
                "window": {"group": ["unit"], "rows": 30, "stats": ["mean", "slope"]},
                "target": {"name": "left", "rows_left": 100}, "net": {"tensors": "layers", "output": "identity"}}
    fm.save(tmp_path / "m", {"layers.0.weight": np.arange(1, 9, dtype="f4")[None] / 10, "layers.0.bias": np.zeros(1, "f4")},
            metadata={"fedmq.contract": json.dumps(contract, separators=(",", ":"))})
    p = fedmq("model", "export", tmp_path / "m", "--onnx", tmp_path / "m.onnx")
    assert p.returncode == 0, p.stderr
    names = ["t.mean", "mode=idle.mean", "mode=run.mean", "t.mean_", "t.slope", "mode=idle.slope", "mode=run.slope", "t.slope_"]
    rows = np.array([[1, 0, .5, 0, 0, 0, 0, .1], [1, None, 0, 1, 0, 0, 0, 0], [9, 0, 0, 0, 0, 0, 0, 9]], dtype=float)
    want = [(.1 + .15 + .08) * 100, (.1 + .4) * 100, 100]
    out = run_onnx({tmp_path / "m.onnx": dict(zip(names, rows.T.tolist()))})[str(tmp_path / "m.onnx")]["outputs"]["value"]
    np.testing.assert_allclose(np.ravel(out), want, rtol=1e-5)
    model = fm.load(tmp_path / "m")
    np.testing.assert_allclose(model.predict(rows), want, rtol=1e-5)
    assert model.features == names


def _torch_export(torch, net, x, path, **more):
    """How a person writes the graph of a network that is in evaluation mode."""
    torch.onnx.export(net.eval(), x, str(path), input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "rows"}, "y": {0: "rows"}},
                      opset_version=13, do_constant_folding=False, **more)


def test_a_graph_of_pytorch(tmp_path):
    """The skeleton is of an untrained network; filled, it gives what load(FILE, net) gives."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")

    def make():
        return torch.nn.Sequential(torch.nn.Conv1d(1, 4, 2), torch.nn.BatchNorm1d(4), torch.nn.ReLU(), torch.nn.Flatten(),
                                   torch.nn.Linear(8, 2), torch.nn.Softmax(1))

    trained, x = make(), np.random.default_rng(3).normal(size=(30, 1, 3)).astype("f4")
    for _ in range(3):
        trained(torch.from_numpy(x))  # moves the running mean
    contract = {"inputs": [{"name": n} for n in "abc"], "target": {"name": "y", "classes": ["u", "v"]}, "net": {"output": "softmax"}}
    fm.save(tmp_path / "m", {k: v.numpy() for k, v in trained.state_dict().items()}, metadata={"fedmq.contract": json.dumps(contract, separators=(",", ":"))})
    p = fedmq("model", "export", tmp_path / "m", "--onnx", tmp_path / "m.onnx")
    assert p.returncode == 1 and "torch.onnx.export, with --skeleton" in p.stderr

    fresh = make()
    _torch_export(torch, fresh, torch.zeros(2, 1, 3), tmp_path / "fused.onnx")
    p = fedmq("model", "export", tmp_path / "m", "--onnx", tmp_path / "m.onnx", "--skeleton", tmp_path / "fused.onnx")
    assert p.returncode == 1 and 'no initializer "0.bias"' in p.stderr and "TrainingMode.PRESERVE" in p.stderr, p.stderr

    _torch_export(torch, fresh, torch.zeros(2, 1, 3), tmp_path / "merged.onnx", training=torch.onnx.TrainingMode.PRESERVE)
    p = fedmq("model", "export", tmp_path / "m", "--onnx", tmp_path / "m.onnx", "--skeleton", tmp_path / "merged.onnx")
    assert p.returncode == 1 and "merges tensors that are equal" in p.stderr, p.stderr

    fresh.train()(torch.from_numpy(x) * 3)  # all its tensors are different now
    _torch_export(torch, fresh, torch.zeros(2, 1, 3), tmp_path / "net.onnx", training=torch.onnx.TrainingMode.PRESERVE)
    p = fedmq("model", "export", tmp_path / "m", "--onnx", tmp_path / "m.onnx", "--skeleton", tmp_path / "net.onnx")
    assert p.returncode == 0 and "1.num_batches_tracked is a counter" in p.stdout, p.stderr
    ran = run_onnx({tmp_path / "m.onnx": {"x": x.tolist()}})[str(tmp_path / "m.onnx")]
    model = fm.load(tmp_path / "m", make())
    np.testing.assert_allclose(ran["outputs"]["y"], model._forward(x), atol=1e-5)
    with torch.no_grad():
        np.testing.assert_allclose(ran["outputs"]["y"], trained.eval()(torch.from_numpy(x)).numpy(), atol=1e-5)
    assert json.loads(ran["meta"]["fedmq.contract"]) == contract


SKLEARN = {
    "sgd": ("SGDClassifier(loss='log_loss')", ["low", "high"]), "sgd-turned": ("SGDClassifier(loss='log_loss')", ["high", "low"]),
    "mlp": ("MLPClassifier((6,), learning_rate_init=.05)", ["low", "high"]), "mlp-turned": ("MLPClassifier((6,), learning_rate_init=.05)", ["high", "low"]),
    "mlp-value": ("MLPRegressor(hidden_layer_sizes=(6,), learning_rate_init=.05)", None),
}
TRAIN = """
import csv, sys
import numpy as np
import fedmq_trainer.sklearn
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
rows = list(csv.DictReader(open("rows.csv")))
x = np.array([[float(r["a"] or "nan"), float(r["b"])] for r in rows])
classes = %r
y = np.array([r["result"] if classes else float(r["a"] or 0) for r in rows])
fedmq_trainer.sklearn.run(%s, x, y, test=(x, y), classes=classes, zscore=True, features=["a", "b"], target="result")
"""
AGGREGATOR = """
broker: tcp://127.0.0.1:1883
namespace: acme
data_dir: state/aggregator
tasks:
  - name: levels
    members: ["+"]
    rounds: 3
    start_when: 2
    quorum: 2
    deadline: 60s
    model: {file: init.safetensors}
    train: {epochs: 3}
    statistics: zscore
    strategy: {guard: {zero: {initial: 100}}} # the columns are not scaled, so steps are long
"""
SITE = """
broker: tcp://127.0.0.1:1883
namespace: acme
member: %s
data_dir: state/%s
tasks:
  - name: levels
    trainer:
      exec: {command: [%s, train.py]}
"""


@pytest.mark.parametrize("name", SKLEARN)
def test_scikit_learn_four_ways(tmp_path, name):
    """The trainer's own evaluation of a federation, fedmq_trainer.load, fedmq predict and onnxruntime."""
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    estimator, classes = SKLEARN[name]
    rng = np.random.default_rng(8)
    a, b = rng.normal(100, 9, 200), rng.normal(size=200)
    a[::11] = np.nan
    result = np.where(np.nan_to_num(a, nan=100) / 9 + b > 11.5, "high", "low")
    lines = ["a,b,result", *(f"{'' if v != v else v},{w},{r}" for v, w, r in zip(a, b, result))]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "train.py").write_text(TRAIN % (classes, estimator))
    (tmp_path / "aggregator.yaml").write_text(AGGREGATOR)
    for site in ("north", "south"):
        (tmp_path / f"{site}.yaml").write_text(SITE % (site, site, json.dumps(sys.executable)))
    p = fedmq("up", tmp_path, env={**os.environ, "PYTHONPATH": str(pathlib.Path(fm.__file__).parents[1])})
    assert p.returncode == 0, p.stdout + p.stderr
    path = tmp_path / "levels.safetensors"
    model, x = fm.load(path), {"a": a, "b": b}
    assert fedmq("model", "export", path, "--onnx", tmp_path / "m.onnx").returncode == 0
    by_onnx = run_onnx({tmp_path / "m.onnx": {"a": a.tolist(), "b": b.tolist()}})[str(tmp_path / "m.onnx")]["outputs"]
    table = list(csv.DictReader(fedmq("predict", path, tmp_path / "rows.csv").stdout.splitlines()))
    own = model.about["metrics"]
    if classes is None:
        y = np.nan_to_num(a, nan=0)
        for way in (model.predict(x), np.ravel(by_onnx["value"]), numbers(table, "predicted")[:, 0]):
            np.testing.assert_allclose(way, model.predict(x), rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(np.sqrt(np.mean((way - y) ** 2)), own["rmse"], rtol=1e-5)
        return
    assert model.classes_.tolist() == classes
    for labels, share in ((model.predict(x), model.predict_proba(x)), (np.array(by_onnx["class"]), by_onnx["probabilities"]),
                          (np.array([row["predicted"] for row in table]), numbers(table, *(f"p_{c}" for c in classes)))):
        np.testing.assert_allclose(share, model.predict_proba(x), atol=1e-5)
        assert np.mean(labels == result) == pytest.approx(own["accuracy"], abs=1e-12)
        assert own["accuracy"] > 0.8
