import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from sklearn.base import is_classifier  # noqa: E402
from sklearn.linear_model import LinearRegression, Perceptron, SGDClassifier, SGDOneClassSVM, SGDRegressor  # noqa: E402
from sklearn.naive_bayes import GaussianNB  # noqa: E402
from sklearn.neural_network import MLPRegressor  # noqa: E402

from agent import Agent  # noqa: E402
from fedmq_trainer import sklearn as helper  # noqa: E402

CLASSIFIER = """
    import numpy as np
    import fedmq_trainer.sklearn
    from sklearn.linear_model import SGDClassifier

    rng = np.random.default_rng(1)
    centres = np.array([[0., 900.], [8., 0.], [0., -900.]])
    y = rng.integers(0, 2, 90)  # this site has never met class "c"
    x = centres[y] + rng.normal(size=(90, 2)) * [1, 100]
    x[::7, 0] = np.nan  # missing: the mean, after scaling
    labels = np.array(["a", "b", "c"])
    fedmq_trainer.sklearn.run(SGDClassifier(loss="log_loss"), x, labels[y], test=(x, labels[y]), classes=labels, zscore=True)
"""


def test_classifier(tmp_path):
    with Agent(tmp_path, CLASSIFIER) as a:
        assert a.hello["samples"] == 90 and a.hello["statistics"]
        assert {"epochs", "alpha"} < set(a.hello["settings"]) and not {"random_state", "max_iter", "tol"} & set(a.hello["settings"])
        first = a.ask("init")[1]["file"]
        assert first.tensors["coef"].shape == (3, 2) and not first.tensors["coef"].any()
        assert first.rules == {"fedmq.mean": "keep", "fedmq.sd": "keep"}
        m = a.ask("statistics")[1]["file"].tensors
        model = {**first.tensors, "fedmq.mean": m["mean"], "fedmq.sd": np.sqrt(m["m2"] / m["n"])}
        progress, answer = a.ask("train", model, {"epochs": 4, "alpha": 1e-3})
        trained = answer["file"].tensors
        assert len(progress) == 4 and trained["coef"].any()
        again = a.ask("train", model, {"epochs": 4, "alpha": 1e-3})[1]["file"].tensors
        assert all(trained[k].tobytes() == again[k].tobytes() for k in trained), "same seed, same bits"
        score = a.ask("evaluate", trained)[1]["metrics"]
        assert score["n"] == 90 and score["correct"] > 80
        assert "ValueError" in a.ask("train", model, {"no_such_parameter": 1})[1]["message"]
        for epochs in (0, -1, 2.5, True, None, "3"):
            assert a.ask("train", model, {"epochs": epochs})[1]["message"] == f"epochs is {epochs!r}, want a whole number of passes, 1 or more"


def test_weights_are_the_models():
    """What a model says is what is predicted with; training starts there."""
    x = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])
    rows = helper._Rows(x, x @ [2.0, -1.0] + 0.5)
    linear = helper.Linear(SGDRegressor(), rows, None, False)
    model = {"coef": np.array([2.0, -1.0]), "intercept": np.array([0.5])}
    assert linear.evaluate(model, rows)["se"] < 1e-20


def test_refuses():
    rows = helper._Rows(np.zeros((2, 2)), np.array([0, 1]))
    with pytest.raises(ValueError, match="LinearRegression has no partial_fit"):
        helper.Linear(LinearRegression(), rows, None, False)
    with pytest.raises(ValueError, match="labels of all sites"):
        helper.Linear(SGDClassifier(), rows, None, False)
    with pytest.raises(ValueError, match="classes: a label stands twice"):
        helper.Linear(SGDClassifier(), rows, [0, 1, 1], False)
    with pytest.raises(ValueError, match="classes has no effect: SGDRegressor is no classifier"):
        helper.Linear(SGDRegressor(), rows, [0, 1], False)
    with pytest.raises(ValueError, match="the test rows have the label 2, which is none of classes"):
        linear = helper.Linear(SGDClassifier(), rows, [0, 1], False)
        linear.evaluate({"coef": np.zeros((1, 2)), "intercept": np.zeros(1)}, helper._Rows(np.zeros((2, 2)), np.array([2, 0])))
    with pytest.raises(ValueError, match="as many targets"):
        helper._Rows(np.zeros((2, 2)), np.zeros(3))


def test_state_besides_the_weights():
    """Whatever partial_fit learns must be in the model."""
    rows = helper._Rows(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0, 1]))

    def check(estimator):
        helper.Linear(estimator, rows, (0, 1) if is_classifier(estimator) else None, False).check()

    class Momentum(SGDClassifier):
        def partial_fit(self, x, y, classes=None):
            self.velocity = np.zeros(2)
            return super().partial_fit(x, y, classes)

    for fine in (SGDClassifier(), SGDClassifier(class_weight={0: 2}, loss="log_loss"), Perceptron(), SGDRegressor()):
        check(fine)
    for averaged in (SGDRegressor(average=True), SGDClassifier(average=10)):
        with pytest.raises(ValueError, match="want average=False; the federation averages"):
            check(averaged)
    with pytest.raises(ValueError, match="Momentum learns velocity besides"):
        check(Momentum())
    for other, lacks in ((MLPRegressor(), "coef_"), (GaussianNB(), "coef_"), (SGDOneClassSVM(), "intercept_")):
        with pytest.raises(ValueError, match=f"{type(other).__name__} has no {lacks}"):
            check(other)
    with pytest.raises(ValueError, match="want average=False"):  # a setting of the order
        linear = helper.Linear(SGDRegressor(), rows, None, False)
        linear.load({"coef": np.zeros(2), "intercept": np.zeros(1)}, average=True)


def test_refused_at_the_start(tmp_path):
    script = """
        import fedmq_trainer.sklearn
        from sklearn.linear_model import SGDRegressor
        fedmq_trainer.sklearn.run(SGDRegressor(average=True), [[1.0], [2.0]], [1.0, 2.0])
    """
    a = Agent(tmp_path, script)
    with pytest.raises(AssertionError), a:  # it ends with 1
        assert a.hello == {"type": "error", "message": a.hello["message"]} and "average=False" in a.hello["message"]
    assert "Traceback" not in a.stderr()
