"""A linear model or a neural network of scikit-learn as the trainer of a site.

For estimators with ``partial_fit`` whose weights are all that they learn. Of SGDClassifier,
SGDRegressor, Perceptron, PassiveAggressiveClassifier and their like the tensors are ``coef`` and
``intercept``, f64, as scikit-learn lays them out for classes in the order of
``classes``: row i is that of classes[i], and a single row, of two classes, that of
classes[1]. scikit-learn by itself sorts them. Of MLPClassifier and MLPRegressor they are
``layers.<i>.weight``, [outputs, inputs], and ``layers.<i>.bias``, f64; output i is that of
classes[i], and a single one, of two classes, that of classes[1].
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt
import sklearn
from sklearn.base import clone, is_classifier

from . import _answers, _estimators, _meaning, _run, metrics
from ._job import Job
from ._safetensors import Array

_MEAN, _SD = "fedmq.mean", "fedmq.sd"


def run(estimator: Any, x: npt.ArrayLike, y: npt.ArrayLike, *, test: Optional[Tuple[npt.ArrayLike, npt.ArrayLike]] = None,
        classes: Optional[Sequence[Any]] = None, zscore: bool = False, features: Optional[Sequence[Any]] = None,
        target: Optional[str] = None) -> None:
    """Train for a site until the agent ends.

    Each round does ``epochs`` (a setting, 1) passes of ``partial_fit`` over the rows, in an order that
    the seed gives; other settings are parameters of the estimator. ``test``
    are rows to evaluate on. ``classes`` lists the labels of all sites, the same
    everywhere and in the same order, which is that of the tensors and of the confusion matrix.
    With ``zscore`` the rows are scaled with the federation's mean and
    deviation (the task says ``statistics: zscore``), and NaN, a missing value, becomes the mean.
    ``features`` are the names of the columns of ``x`` (those of a frame, else x0, x1 ...) and
    ``target`` that of ``y`` (of a series, else y): a site with others, or in another order, is refused.
    """
    labels = _labels(estimator, classes)
    rows = _Rows("x", x, "y", y, labels, zscore)
    held = _Rows("test[0]", test[0], "test[1]", test[1], labels, zscore) if test else None
    if held and held.x.shape[1] != rows.x.shape[1]:
        raise _answers.Refused(f"test[0] has {held.x.shape[1]} features, x has {rows.x.shape[1]}")
    names = list(features) if features is not None else _meaning.columns(x) or [f"x{i}" for i in range(rows.x.shape[1])]
    if len(names) != rows.x.shape[1]:
        raise _answers.Refused(f"features are {len(names)} names, x has {rows.x.shape[1]} columns")
    trainer = Trainer(estimator, rows, labels, zscore)
    _run.run(
        samples=len(rows.y), train=trainer.train,
        evaluate=(lambda m, job: trainer.evaluate(m, held)) if held else None,
        statistics=(lambda job: metrics.moments(rows.x)) if zscore else None, init=trainer.first,
        rules={_MEAN: "keep", _SD: "keep"} if zscore else None, settings=trainer.settings(), check=trainer.check,
        contract=_meaning.contract(names, labels, target or str(getattr(y, "name", None) or "y"), _estimators.net(estimator, labels)),
        name=f"scikit-learn {sklearn.__version__}")


# Parameters that partial_fit passes over: one pass over what it is given, and the
# seed is the round's.
_VOID = {"random_state", "max_iter", "tol", "early_stopping", "validation_fraction", "n_iter_no_change", "warm_start", "max_fun"}

# Parameters that say what the tensors are, and so hold for the whole task.
_SHAPE = {"hidden_layer_sizes", "activation"}


def _labels(estimator: Any, classes: Optional[Sequence[Any]]) -> Optional[List[Any]]:
    """The labels of all sites, in the order of ``classes``."""
    if is_classifier(estimator) != (classes is not None):
        raise _answers.Refused("classes: want the labels of all sites, in one order" if classes is None else
                               f"classes has no effect: {type(estimator).__name__} is no classifier")
    if classes is None:
        return None
    labels: List[Any] = np.asarray(classes).ravel().tolist()
    if len(set(labels)) != len(labels):
        raise _answers.Refused(f"classes: a label stands twice in {labels!r:.200}")
    return labels


class _Rows:
    """Features and targets of rows. Of classes the targets are numbers, from 0 in
    the order of ``labels``: so an estimator has that order too."""

    def __init__(self, x_name: str, x: Any, y_name: str, y: Any, labels: Optional[List[Any]], zscore: bool) -> None:
        self.x, targets = _features(x_name, x, zscore), np.asarray(y)
        if targets.ndim == 2 and targets.shape[1] == 1:  # a column
            targets = targets.ravel()
        if targets.shape != (len(self.x),):
            raise _answers.Refused(f"{x_name} has {len(self.x)} rows, {y_name} is {list(targets.shape)}: want as many targets")
        self.y = _numbers(y_name, targets, labels) if labels is not None else _finite(y_name, targets)


def _features(name: str, x: Any, zscore: bool) -> Array:
    if hasattr(x, "toarray"):
        raise _answers.Refused(f"{name} is {_answers.kind(x)}, a sparse matrix: want its rows in full, {name}.toarray()")
    try:
        rows = np.asarray(x, dtype=np.float64)
    except (TypeError, ValueError) as e:
        raise _answers.Refused(f"{name}: want numbers, a row for each sample: {e}") from None
    if rows.ndim != 2 or rows.size == 0:
        raise _answers.Refused(f"{name} is {list(rows.shape)}: want rows of features, at least one of each")
    strange = ~np.isfinite(rows) & ~(np.isnan(rows) & zscore)
    if strange.any():
        i, j = np.argwhere(strange)[0]
        cure = "" if zscore else ", or zscore=True, with which NaN becomes the federation's mean"
        raise _answers.Refused(f"{name}[{i}, {j}] is {rows[i, j]}: want finite numbers{cure}")
    return rows


def _numbers(name: str, targets: Array, labels: List[Any]) -> Array:
    number = {label: i for i, label in enumerate(labels)}
    values = targets.tolist()
    for i, v in enumerate(values):
        if v not in number:
            raise _answers.Refused(f"{name}[{i}] is the label {v!r:.60}, which is none of classes: {labels!r:.200}")
    return np.array([number[v] for v in values], dtype=np.int64)


def _finite(name: str, targets: Array) -> Array:
    try:
        values = targets.astype(np.float64)
    except (TypeError, ValueError) as e:
        raise _answers.Refused(f"{name}: want a number for each row: {e}") from None
    if not np.isfinite(values).all():
        i = int(np.argmin(np.isfinite(values)))
        raise _answers.Refused(f"{name}[{i}] is {values[i]}: want finite numbers; leave such rows out")
    return values


class Trainer:
    """An estimator whose weights come from and go to a model."""

    def __init__(self, estimator: Any, rows: _Rows, labels: Optional[List[Any]], zscore: bool) -> None:
        _estimators.trainable(estimator)
        self.estimator, self.rows, self.labels, self.zscore = estimator, rows, labels, zscore
        self.first_call = {} if labels is None else {"classes": np.arange(len(labels))}

    def load(self, model: Dict[str, Array], **params: Any) -> Any:
        """A new estimator with the model's weights."""
        e = self.new(**params)
        _estimators.fill(e, model)
        return e

    def new(self, **params: Any) -> Any:
        """A new estimator of numbered classes, with room for its weights."""
        e = clone(self.estimator).set_params(**params)
        weights = e.get_params().get("class_weight")
        if self.labels is not None and isinstance(weights, Mapping):
            e.set_params(class_weight=self.numbered(weights))
        e.partial_fit(np.zeros((1, self.rows.x.shape[1])), self.rows.y[:1], **self.first_call)
        _estimators.plain(e)
        return e

    def numbered(self, weights: Mapping[Any, float]) -> Dict[int, float]:
        """The weights of classes by their numbers. The labels in settings are texts."""
        labels = self.labels or []
        number = {**{str(label): i for i, label in enumerate(labels)}, **{label: i for i, label in enumerate(labels)}}
        if strange := [label for label in weights if label not in number]:
            raise _answers.Refused(f"class_weight has the label {strange[0]!r:.60}, which is none of classes: {labels!r:.200}")
        return {number[label]: w for label, w in weights.items()}

    def settings(self) -> Sequence[str]:
        """The settings that a round may have: those with an effect on partial_fit."""
        return ["epochs", *(name for name in self.estimator.get_params() if name not in _VOID | _SHAPE)]

    def check(self) -> None:
        """Refuse an estimator of which these tensors are not all."""
        self.new()

    def scaled(self, x: Array, model: Dict[str, Array]) -> Array:
        if not self.zscore:
            return x
        sd = model[_SD]
        if not sd.any():
            raise _answers.Refused("zscore=True, and the model has no deviation of any feature: want statistics: zscore in the aggregator's task")
        z = (x - model[_MEAN]) / np.where(sd > 0, sd, 1.0)
        return np.where(np.isnan(z), 0.0, z)

    def train(self, model: Dict[str, Array], job: Job) -> Dict[str, Array]:
        params = dict(job.settings)
        epochs = params.pop("epochs", 1)
        if type(epochs) is not int or epochs < 1:
            raise _answers.Refused(f"epochs is {epochs!r:.60}, want a whole number of passes, 1 or more")
        e = self.load(model, random_state=job.seed_int % 2**32, **params)
        x, rng = self.scaled(self.rows.x, model), job.rng()
        for _ in job.steps(range(epochs)):
            order = rng.permutation(len(x))
            e.partial_fit(x[order], self.rows.y[order])
        return {**model, **_estimators.weights(e)}

    def evaluate(self, model: Dict[str, Array], rows: _Rows) -> Dict[str, Any]:
        e, x = self.load(model), self.scaled(rows.x, model)
        predicted = e.predict(x)
        if self.labels is None:
            return metrics.regression(rows.y, predicted)
        probabilities = e.predict_proba(x) if hasattr(e, "predict_proba") else None
        return metrics.classification(rows.y, predicted, len(self.labels), probabilities=probabilities)

    def first(self, job: Job) -> Dict[str, Array]:
        """As scikit-learn begins: a linear model with zeros, a network with random weights."""
        network = "learning_rate_init" in self.estimator.get_params()
        # Room is made by a step on one row: of a network too small a one to change a weight.
        e = self.new(random_state=job.seed_int % 2**32, learning_rate_init=1e-300) if network else self.new()
        model = {name: np.array(a if network else np.zeros_like(a), dtype=np.float64) for name, a in _estimators.weights(e).items()}
        if self.zscore:
            d = self.rows.x.shape[1]
            model.update({_MEAN: np.zeros(d), _SD: np.zeros(d)})
        return model
