"""A folder from a notebook. FEDMQ_PROGRAM is the fedmq to run: make test-notebook sets it."""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

import fedmq_trainer as fm
from fedmq_trainer import _federate

FEDMQ = os.environ.get("FEDMQ_PROGRAM")
if not FEDMQ:
    pytest.skip("FEDMQ_PROGRAM is not set", allow_module_level=True)
pytest.importorskip("pandas", reason="pandas is not installed")

ROWS = "a,b,result\n" + "".join(f"{i % 7},{i % 5},{'high' if i % 7 + i % 5 > 5 else 'low'}\n" for i in range(200))
AGGREGATOR = """
broker: tcp://127.0.0.1:1883
namespace: acme
data_dir: state/aggregator
tasks:
  - name: levels
    members: ["+/lab"]
    rounds: 4
    start_when: 2
    quorum: 2
    deadline: 60s
    model: {softmax: {inputs: 2, outputs: 2}}
    train: {lr: 0.1}
    statistics: zscore
"""
SITE = """
broker: tcp://127.0.0.1:1883
namespace: acme
member: %s/lab
data_dir: state/%s
tasks:
  - name: levels
    trainer:
      tabular:
        train: rows.csv
        test: rows.csv
        target: {column: result, classes: [low, high]}
        features: [{columns: [a, b]}]
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "rows.csv").write_text(ROWS)
    (tmp_path / "aggregator.yaml").write_text(AGGREGATOR)
    for site in ("north", "south"):
        (tmp_path / f"{site}.yaml").write_text(SITE % (site, site))
    return tmp_path


def test_a_folder(folder, capsys):
    metrics, model, sites, models, log = fm.federate(folder)
    said = capsys.readouterr().err
    assert "#" * 30 + " 4/4 rounds, " in said and said.endswith(" s\n") and " 0/4 rounds" in said
    train = metrics[metrics.work == "train"]
    assert len(train) == 4 and (train.task == "levels").all() and (train.sites == 2).all()
    assert train.accuracy.iloc[-1] > train.accuracy.iloc[0]
    assert set(sites.site) == {"north/lab", "south/lab"} and {"accuracy", "samples"} <= set(sites)
    assert list(models) == ["levels"] and model is models["levels"] and "layers.0.weight" in model.tensors
    assert "levels.safetensors" in log


def test_what_went_wrong_is_told(folder):
    with pytest.raises(FileNotFoundError, match="no-such-fedmq is no program.*program="):
        fm.federate(folder, program="no-such-fedmq")
    (folder / "aggregator.yaml").write_text(AGGREGATOR.replace("rounds", "round"))
    with pytest.raises(RuntimeError, match=r"(?s)ended with 2:\n.*unknown.*round"):
        fm.federate(folder, progress=False)


def test_an_interrupt_ends_what_was_started(folder):
    (folder / "aggregator.yaml").write_text(AGGREGATOR.replace("rounds: 4", "rounds: 100000"))
    script = folder / "run.py"
    # What a shell starts behind itself ignores the signal, and so would this.
    script.write_text(f"import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\nimport fedmq_trainer\nfedmq_trainer.federate({str(folder)!r})\n")
    env = {**os.environ, "PYTHONPATH": str(pathlib.Path(fm.__file__).parents[1])}
    p = subprocess.Popen([sys.executable, script], env=env, stderr=subprocess.PIPE, text=True, start_new_session=True)
    limit = threading.Timer(60, p.kill)
    limit.start()
    seen = _federate._Records(folder)
    while p.poll() is None and not seen.look():
        time.sleep(.05)
    p.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in p.communicate()[1]
    limit.cancel()
    rounds = len(seen.look())
    time.sleep(.5)
    assert len(seen.look()) == rounds, "fedmq up has ended before federate does"


# By name: the model, what the task adds, the target and its column in the rows.
KINDS = {
    "softmax": ("{softmax: {inputs: 5, outputs: 2}}", "{column: result, classes: [low, high]}"),
    "softmax-turned": ("{softmax: {inputs: 5, outputs: 2}}", "{column: result, classes: [high, low]}"),
    "mlp": ("{mlp: {inputs: 5, hidden: [8], outputs: 2, task: classification}}", "{column: result, classes: [low, high]}"),
    "linear": ("{linear: {inputs: 5, outputs: 1}}", "{column: level, offset: 5, scale: 3}"),
    "mlp-value": ("{mlp: {inputs: 5, hidden: [8, 4], outputs: 1, task: regression}}", "{column: level, offset: 5, scale: 3}"),
}
FEATURES = "[{columns: [a], slog: 0.5, missing_flag: true}, {columns: [b]}, {columns: [mode], categories: [x, y]}]"


@pytest.mark.parametrize("kind", KINDS)
def test_four_ways_to_the_same_numbers(folder, kind):
    """The trainer's own evaluation, fedmq_trainer.load, fedmq predict and onnxruntime, of one trained model."""
    np, pandas = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    rng = np.random.default_rng(4)
    rows = pandas.DataFrame({"a": rng.normal(0, 9, 300), "b": rng.normal(1000, 2, 300), "mode": rng.choice(["x", "y", "z"], 300)})
    rows["level"] = rows.a / 3 + (rows.b - 1000) + 2 * (rows["mode"] == "x") + rng.normal(0, .1, 300)
    rows["result"] = np.where(rows.level > 1, "high", "low")
    rows.loc[::9, "a"] = np.nan
    rows.to_csv(folder / "rows.csv", index=False)
    model, target = KINDS[kind]
    (folder / "aggregator.yaml").write_text(AGGREGATOR.replace("{softmax: {inputs: 2, outputs: 2}}", model))
    for site in ("north", "south"):
        (folder / f"{site}.yaml").write_text((SITE % (site, site)).replace("{column: result, classes: [low, high]}", target).replace("[{columns: [a, b]}]", FEATURES))
    loaded = fm.federate(folder, progress=False).model
    own = loaded.about["metrics"]  # of the last model, over the rows of both sites, which are the same

    rows = pandas.read_csv(folder / "rows.csv")
    subprocess.run([FEDMQ, "model", "export", folder / "levels.safetensors", "--onnx", folder / "m.onnx"], check=True)
    session = onnxruntime.InferenceSession(folder / "m.onnx")
    columns = {i.name: rows[[i.name]].to_numpy(dtype=object if i.type == "tensor(string)" else float) for i in session.get_inputs()}
    by_onnx = session.run(None, columns)
    subprocess.run([FEDMQ, "predict", folder / "levels.safetensors", folder / "rows.csv", "-o", folder / "p.csv"], check=True)
    table = pandas.read_csv(folder / "p.csv")
    example = pathlib.Path(__file__).resolve().parents[2] / "examples/predict/predict.py"
    said = subprocess.run([sys.executable, example, folder / "m.onnx", folder / "rows.csv"], check=True, capture_output=True, text=True).stdout.split()
    if "classes" in loaded.contract["target"]:
        assert said == table.predicted.tolist()
    else:
        np.testing.assert_allclose(np.array(said, dtype=float), table.predicted, rtol=1e-5, atol=1e-5)
    if "classes" not in loaded.contract["target"]:
        ways = [loaded.predict(rows), np.ravel(by_onnx[0]), table.predicted.to_numpy()]
        for y in ways:
            np.testing.assert_allclose(y, ways[0], rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(np.sqrt(np.mean((y - rows.level) ** 2)), own["rmse"], rtol=1e-5)
        return
    number = {c: i for i, c in enumerate(loaded.classes_)}
    truth = rows.result.map(number).to_numpy()
    for classes, p in [(loaded.predict(rows), loaded.predict_proba(rows)), by_onnx, (table.predicted, table[[f"p_{c}" for c in loaded.classes_]].to_numpy())]:
        np.testing.assert_allclose(p, loaded.predict_proba(rows), atol=1e-5)
        assert np.mean(classes == rows.result) == pytest.approx(own["accuracy"], abs=1e-12)
        assert -np.mean(np.log(p[np.arange(len(p)), truth])) == pytest.approx(own["log_loss"], rel=1e-5)
