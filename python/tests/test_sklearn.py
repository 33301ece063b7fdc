import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from scipy.sparse import csr_matrix  # noqa: E402
from sklearn.base import clone, is_classifier  # noqa: E402
from sklearn.linear_model import LinearRegression, Perceptron, SGDClassifier, SGDOneClassSVM, SGDRegressor  # noqa: E402
from sklearn.naive_bayes import GaussianNB  # noqa: E402

from agent import Agent  # noqa: E402
from fedmq_trainer import sklearn as helper  # noqa: E402
from fedmq_trainer._job import Job  # noqa: E402

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
    rows = helper._Rows("x", x, "y", x @ [2.0, -1.0] + 0.5, None, False)
    linear = helper.Trainer(SGDRegressor(), rows, None, False)
    model = {"coef": np.array([2.0, -1.0]), "intercept": np.array([0.5])}
    assert linear.evaluate(model, rows)["se"] < 1e-20


@pytest.mark.parametrize("labels", [["nok", "ok"], ["ok", "nok"], ["a", "b", "c"], ["c", "a", "b"], [2, 1, 0], [True, False]])
def test_order_of_classes(labels):
    """Weights and confusion are in the order of classes, whatever scikit-learn's own order is."""
    n = len(labels)
    rng = np.random.default_rng(3)
    number = rng.integers(0, n, 120)
    x = np.array([[9.0, 0.0], [-9.0, 0.0], [0.0, 9.0]])[number] + rng.normal(size=(120, 2))
    y = np.array(labels)[number]
    estimator = SGDClassifier(loss="log_loss", class_weight={labels[0]: 1.5})
    rows = helper._Rows("x", x, "y", y, labels, False)
    linear = helper.Trainer(estimator, rows, labels, False)
    job = Job({"type": "train", "seed": "0" * 64, "settings": {"epochs": 20}}, lambda message: None)
    model = linear.train(linear.first(job), job)

    scores = x @ model["coef"].T + model["intercept"]
    found = scores.argmax(1) if n > 2 else (scores[:, 0] > 0).astype(int)
    assert (found == number).all(), "row i of coef is that of classes[i]; a single row is that of classes[1]"
    sums = linear.evaluate(model, helper._Rows("x", x[:60], "y", y[:60], labels, False))
    for i in range(n):
        assert sums["confusion"][i][i] == (number[:60] == i).sum()

    # The same rows by scikit-learn alone, which sorts: its rows of coef are these, or these with the other sign.
    own = clone(estimator).set_params(random_state=0)
    for _ in range(20):
        own.partial_fit(x, y, classes=np.array(labels))
    order = [labels.index(label) for label in own.classes_.tolist()]
    if n > 2:
        assert (own.predict(x) == np.array(labels)[found]).mean() > 0.9
        assert (np.sign(own.coef_) == np.sign(model["coef"][order])).mean() > 0.8
    else:
        sign = 1 if order == [0, 1] else -1
        assert np.sign(own.coef_[0, 0]) == sign * np.sign(model["coef"][0, 0])


def test_weights_of_classes():
    rows = helper._Rows("x", np.eye(2), "y", [1, 0], [1, 0], False)
    linear = helper.Trainer(SGDClassifier(), rows, [1, 0], False)
    assert linear.new(class_weight={"1": 3, "0": 2}).class_weight == {0: 3, 1: 2}, "settings know labels as texts"
    with pytest.raises(ValueError, match="class_weight has the label 7, which is none of classes: \\[1, 0\\]"):
        linear.new(class_weight={7: 3})


def test_refuses():
    def run(x, y, test=None, estimator=None, **more):
        helper.run(estimator or SGDClassifier(), x, y, test=test, **more)

    x, y, r = np.zeros((2, 2)), np.array([0, 1]), SGDRegressor()
    hole = np.array([[0, 1], [2, np.nan]])
    for message, call in {
        "LinearRegression has no partial_fit": lambda: run(x, y, estimator=LinearRegression()),
        "labels of all sites": lambda: run(x, y),
        "classes: a label stands twice": lambda: run(x, y, classes=[0, 1, 1]),
        "classes has no effect: SGDRegressor is no classifier": lambda: run(x, y, estimator=r, classes=[0, 1]),
        r"test\[1\]\[0\] is the label 2, which is none of classes: \[0, 1\]": lambda: run(x, y, (x, [2, 0]), classes=[0, 1]),
        r"y\[1\] is the label 1, which is none of classes: \[0, 2\]": lambda: run(x, y, classes=[0, 2]),
        r"x has 2 rows, y is \[3\]: want as many targets": lambda: run(x, np.zeros(3), classes=[0, 1]),
        r"x is \[0, 2\]: want rows of features": lambda: run(x[:0], y[:0], classes=[0, 1]),
        r"x is \[2\]: want rows of features": lambda: run(x[0], y, classes=[0, 1]),
        r"x\[1, 1\] is nan: want finite numbers, or zscore=True": lambda: run(hole, y, classes=[0, 1]),
        r"test\[0\]\[0, 0\] is inf: want finite numbers$": lambda: run(hole, y, (x + np.inf, y), classes=[0, 1], zscore=True),
        r"test\[0\] has 3 features, x has 2": lambda: run(x, y, (np.zeros((2, 3)), y), classes=[0, 1]),
        "x: want numbers, a row for each sample": lambda: run([["a"], ["b"]], y, classes=[0, 1]),
        r"x is a csr_matrix, a sparse matrix: want its rows in full, x.toarray\(\)": lambda: run(csr_matrix(x), y, classes=[0, 1]),
        r"y\[0\] is nan: want finite numbers": lambda: run(x, [np.nan, 1], estimator=r),
        "y: want a number for each row": lambda: run(x, ["a", "b"], estimator=r),
    }.items():
        with pytest.raises(ValueError, match=message):
            call()


def test_columns_of_targets():
    """y may be a column: [n, 1]."""
    assert helper._Rows("x", np.eye(2), "y", [["b"], ["a"]], ["b", "a"], False).y.tolist() == [0, 1]
    assert helper._Rows("x", np.eye(2), "y", [[3], [4]], None, False).y.tolist() == [3, 4]


def test_zscore_wants_statistics():
    rows = helper._Rows("x", np.array([[1.0], [np.nan]]), "y", [1.0, 2.0], None, True)
    linear = helper.Trainer(SGDRegressor(), rows, None, True)
    with pytest.raises(ValueError, match="want statistics: zscore in the aggregator's task"):
        linear.evaluate(linear.first(None), rows)


def test_state_besides_the_weights():
    """Whatever partial_fit learns must be in the model."""
    rows = helper._Rows("x", np.array([[1.0, 2.0], [3.0, 4.0]]), "y", [0, 1], None, False)

    def check(estimator):
        helper.Trainer(estimator, rows, [0, 1] if is_classifier(estimator) else None, False).check()

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
    for other, lacks in ((GaussianNB(), "coef_"), (SGDOneClassSVM(), "intercept_")):
        with pytest.raises(ValueError, match=f"{type(other).__name__} has no {lacks}"):
            check(other)
    with pytest.raises(ValueError, match="want average=False"):  # a setting of the order
        linear = helper.Trainer(SGDRegressor(), rows, None, False)
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


@pytest.mark.parametrize("estimator, classes, net", [
    ("SGDClassifier(loss='log_loss')", ["b", "a"], {"tensors": "coef", "output": "logistic"}),
    ("SGDClassifier(loss='log_loss')", ["b", "a", "c"], {"tensors": "coef", "output": "ovr"}),
    ("Perceptron()", ["b", "a"], {"tensors": "coef", "output": "margin"}),
    ("MLPClassifier(activation='tanh')", ["b", "a"], {"tensors": "layers", "activation": "tanh", "output": "logistic"}),
    ("MLPClassifier()", ["b", "a", "c"], {"tensors": "layers", "output": "softmax"}),
    ("SGDRegressor()", None, {"tensors": "coef", "output": "identity"}),
])
def test_contract(tmp_path, estimator, classes, net):
    """What the columns and classes are is told at the start, for the comparison of all sites."""
    script = f"""
        import numpy as np
        import fedmq_trainer.sklearn
        from sklearn.linear_model import SGDClassifier, SGDRegressor, Perceptron
        from sklearn.neural_network import MLPClassifier

        class Frame:  # as a frame of pandas has them
            columns = ["temp", "flow"]
            def __array__(self, dtype=None, copy=None):
                return np.eye(2)

        classes = {classes!r}
        fedmq_trainer.sklearn.run({estimator}, Frame(), [1.0, 2.0] if classes is None else ["b", "a"], classes=classes, target="result")
    """
    with Agent(tmp_path, script) as a:
        target = {"name": "result"} if classes is None else {"name": "result", "classes": classes}
        assert a.hello["contract"] == {"inputs": [{"name": "temp"}, {"name": "flow"}], "target": target, "net": net}
