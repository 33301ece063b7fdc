"""Every estimator that is carried, against the file that its weights end in."""

import json

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from sklearn.calibration import CalibratedClassifierCV  # noqa: E402
from sklearn.ensemble import RandomForestClassifier, VotingClassifier  # noqa: E402
from sklearn.linear_model import LinearRegression, LogisticRegression, Perceptron, SGDClassifier, SGDRegressor  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.neural_network import MLPClassifier, MLPRegressor  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.svm import LinearSVC  # noqa: E402

import fedmq_trainer as fm  # noqa: E402
from fedmq_trainer import _estimators, _safetensors  # noqa: E402
from fedmq_trainer import sklearn as helper  # noqa: E402
from fedmq_trainer._job import Job  # noqa: E402

THREE, TWO = ["b", "a", "c"], ["ok", "nok"]
CASES = {
    "sgd": (SGDClassifier(loss="log_loss"), "coef", "logistic", "ovr"), "svm": (SGDClassifier(), "coef", "margin", "margin"),
    "perceptron": (Perceptron(), "coef", "margin", "margin"), "mlp": (MLPClassifier((6, 5), learning_rate_init=.03), "layers", "logistic", "softmax"),
    "mlp-tanh-sgd": (MLPClassifier((6,), activation="tanh", solver="sgd", learning_rate_init=.1), "layers", "logistic", "softmax"),
    "sgd-value": (SGDRegressor(), "coef", "identity", None), "mlp-value": (MLPRegressor(hidden_layer_sizes=(6, 5), activation="logistic", learning_rate_init=.3), "layers", "identity", None),
}


def job(**settings):
    return Job({"type": "train", "seed": "09" * 32, "settings": settings}, lambda message: None)


def trained(estimator, labels, rounds=3):
    """Two federated rounds of one site, its rows and the model."""
    rng = np.random.default_rng(3)
    number = rng.integers(0, len(labels or TWO), 200)
    x = np.array([[9.0, 0.0], [-9.0, 0.0], [0.0, 9.0]])[number] + rng.normal(size=(200, 2))
    y = np.array(labels)[number] if labels else x @ [2.0, -1.0]
    rows = helper._Rows("x", x, "y", y, labels, True)
    trainer = helper.Trainer(estimator, rows, labels, True)
    model = {**trainer.first(job()), "fedmq.mean": x.mean(0), "fedmq.sd": x.std(0)}
    for _ in range(rounds):
        model = _safetensors.decode(_safetensors.encode(trainer.train(model, job(epochs=20)))).tensors
    return trainer, rows, model, y


def as_file(path, name, labels, model):
    estimator, tensors, two, more = CASES[name]
    net = {"tensors": tensors, **({"activation": estimator.activation} if tensors == "layers" else {}), "output": more if labels and len(labels) > 2 else two}
    contract = {"inputs": [{"name": "p"}, {"name": "q"}], "target": {"name": "y", **({"classes": labels} if labels else {})}, "net": net}
    fm.save(path, model, metadata={"fedmq.contract": json.dumps(contract)})
    return fm.load(path)


@pytest.mark.parametrize("labels", [TWO, TWO[::-1], THREE, sorted(THREE), None], ids=str)
@pytest.mark.parametrize("name", CASES)
def test_the_file_predicts_what_the_trainer_does(tmp_path, name, labels):
    if ("value" in name) != (labels is None):
        pytest.skip("classes are for classifiers")
    trainer, rows, model, y = trained(CASES[name][0], labels)
    loaded, own, x = as_file(tmp_path / "m", name, labels, model), trainer.load(model), trainer.scaled(rows.x, model)
    if labels is None:
        np.testing.assert_allclose(loaded.predict(rows.x), own.predict(x), atol=1e-5)
        assert trainer.evaluate(model, rows)["se"] / len(y) < y.var() / 2
        return
    assert loaded.predict(rows.x).tolist() == [labels[i] for i in own.predict(x)]
    assert (loaded.predict(rows.x) == y).mean() > 0.95
    if hasattr(own, "predict_proba"):
        np.testing.assert_allclose(loaded.predict_proba(rows.x), own.predict_proba(x), atol=1e-5)


def test_a_network_begins_at_random_and_the_same():
    trainer, _, model, _ = trained(MLPClassifier((6,)), TWO, rounds=0)
    first = trainer.first(job())
    assert {k: v.shape for k, v in first.items() if k[:6] == "layers"} == {
        "layers.0.weight": (6, 2), "layers.0.bias": (6,), "layers.1.weight": (1, 6), "layers.1.bias": (1,)}
    assert all(first[k].tobytes() == model[k].tobytes() for k in first if k[:6] == "layers"), "one seed, the same weights"
    assert first["layers.0.weight"].all() and np.abs(first["layers.0.weight"]).max() < 1
    assert {"hidden_layer_sizes", "activation"}.isdisjoint(trainer.settings()) and {"alpha", "batch_size"} <= set(trainer.settings())


def test_rounds_do_not_know_of_each_other():
    """A round trains from the weights alone: the optimiser, the schedule and the step of the first row are gone."""
    for estimator in (MLPClassifier((6,)), MLPClassifier((6,), solver="sgd", learning_rate="invscaling", learning_rate_init=.1), SGDClassifier()):
        trainer, rows, model, _ = trained(estimator, TWO, rounds=1)
        turned = helper._Rows("x", rows.x[::-1], "y", np.array(TWO)[rows.y[::-1]], TWO, True)  # another first row, by which room is made
        assert rows.y[0] != turned.y[0]
        one, other = trainer.load(model, random_state=1), helper.Trainer(estimator, turned, TWO, True).load(model, random_state=1)
        for e in (one, other):
            e.partial_fit(rows.x, rows.y)
        assert all(a.tobytes() == b.tobytes() for a, b in zip(_estimators.weights(one).values(), _estimators.weights(other).values()))
    trainer, _, model, _ = trained(MLPClassifier((6,)), TWO, rounds=0)
    with pytest.raises(ValueError, match=r"layers.0.weight is \[6, 2\] in the global model, and \[7, 2\] in MLPClassifier"):
        helper.Trainer(MLPClassifier((7,)), trainer.rows, trainer.labels, True).train(model, job())
    with pytest.raises(ValueError, match="coef is not in the global model"):
        helper.Trainer(SGDClassifier(), trainer.rows, trainer.labels, True).train(model, job())


@pytest.mark.parametrize("estimator, advice", [
    (make_pipeline(StandardScaler(), SGDClassifier()), "Pipeline has no partial_fit.*zscore=True"),
    (GridSearchCV(SGDClassifier(), {"alpha": [1e-4, 1e-3]}), "GridSearchCV .*settings of the task"),
    (LogisticRegression(), r"want SGDClassifier\(loss='log_loss'\), the same model"),
    (LinearRegression(), r"want SGDRegressor\(\), the same model"),
    (LinearSVC(), r"want SGDClassifier\(loss='hinge'\)"),
    (RandomForestClassifier(), "trees have no weights"),
    (CalibratedClassifierCV(SGDClassifier()), "want its estimator"),
    (VotingClassifier([("a", SGDClassifier())]), "want one of its estimators"),
    (MLPClassifier(solver="lbfgs"), "want solver='adam' or 'sgd'"),
], ids=lambda v: type(v).__name__ if not isinstance(v, str) else "")
def test_what_to_do_with_others(estimator, advice):
    from sklearn.base import is_classifier
    labels = [0, 1] if is_classifier(estimator) else None
    with pytest.raises(ValueError, match=advice):
        helper.run(estimator, np.eye(2), [0, 1], classes=labels)
