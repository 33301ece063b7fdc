"""A linear model of scikit-learn as the trainer of a site.

For estimators with ``partial_fit``, ``coef_`` and ``intercept_``: SGDClassifier,
SGDRegressor, Perceptron, PassiveAggressiveClassifier and their like. The tensors are ``coef`` and
``intercept``, f64, as scikit-learn lays them out.
"""

from __future__ import annotations

from typing import Any, Dict, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt
import sklearn
from sklearn.base import clone, is_classifier

from . import _answers, _run, metrics
from ._job import Job
from ._safetensors import Array

_MEAN, _SD = "fedmq.mean", "fedmq.sd"


def run(estimator: Any, x: npt.ArrayLike, y: npt.ArrayLike, *, test: Optional[Tuple[npt.ArrayLike, npt.ArrayLike]] = None,
        classes: Optional[Sequence[Any]] = None, zscore: bool = False) -> None:
    """Train for a site until the agent ends.

    Each round does ``epochs`` (a setting, 1) passes of ``partial_fit`` over the rows, in an order that
    the seed gives; other settings are parameters of the estimator. ``test``
    are rows to evaluate on. ``classes`` lists the labels of all sites, the same everywhere.
    With ``zscore`` the rows are scaled with the federation's mean and
    deviation (the task says ``statistics: zscore``).
    """
    rows = _Rows(np.asarray(x, dtype=np.float64), np.asarray(y))
    held = _Rows(np.asarray(test[0], dtype=np.float64), np.asarray(test[1])) if test else None
    linear = Linear(estimator, rows, classes, zscore)
    _run.run(
        samples=len(rows.y), train=linear.train,
        evaluate=(lambda m, job: linear.evaluate(m, held)) if held else None,
        statistics=(lambda job: metrics.moments(rows.x)) if zscore else None, init=linear.first,
        rules={_MEAN: "keep", _SD: "keep"} if zscore else None, settings=linear.settings(), check=linear.check,
        name=f"scikit-learn {sklearn.__version__}")


# What a linear model has after partial_fit besides its weights: labels, counters
# of the call, and what follows from its parameters.
_USUAL = {"classes_", "n_features_in_", "feature_names_in_", "n_iter_", "t_", "loss_function_", "_loss_function_", "_expanded_class_weight"}


# Parameters that partial_fit passes over: one pass over what it is given, and the
# seed is the round's.
_VOID = {"random_state", "max_iter", "tol", "early_stopping", "validation_fraction", "n_iter_no_change", "warm_start"}


class _Rows:
    def __init__(self, x: Array, y: Array) -> None:
        if x.ndim != 2 or len(x) != len(y):
            raise ValueError(f"want rows of features and as many targets, got {x.shape} and {y.shape}")
        self.x, self.y = x, y


class Linear:
    """An estimator whose weights come from and go to a model."""

    def __init__(self, estimator: Any, rows: _Rows, classes: Optional[Sequence[Any]], zscore: bool) -> None:
        if not hasattr(estimator, "partial_fit"):
            raise ValueError(f"{type(estimator).__name__} has no partial_fit; try SGDClassifier(loss='log_loss') or SGDRegressor()")
        if is_classifier(estimator) != (classes is not None):
            raise _answers.Refused("classes: want the labels of all sites, in one order" if classes is None else
                                   f"classes has no effect: {type(estimator).__name__} is no classifier")
        if classes is not None and len(set(classes)) != len(classes):
            raise _answers.Refused(f"classes: a label stands twice in {list(classes)!r:.200}")
        self.estimator, self.rows, self.zscore = estimator, rows, zscore
        self.classes = np.asarray(classes) if classes is not None else None
        self.first_call = {"classes": self.classes} if is_classifier(estimator) else {}

    def load(self, model: Dict[str, Array], **params: Any) -> Any:
        """A new estimator with the model's weights."""
        e = clone(self.estimator).set_params(**params)
        self.make_room(e)
        self.plain(e)
        e.coef_[...], e.intercept_[...] = model["coef"], model["intercept"]
        if hasattr(e, "t_"):
            e.t_ = 1.0  # the schedule of the learning rate begins anew, as the weights do
        return e

    def settings(self) -> Sequence[str]:
        """The settings that a round may have: those with an effect on partial_fit."""
        return ["epochs", *(name for name in self.estimator.get_params() if name not in _VOID)]

    def make_room(self, e: Any) -> None:
        """Have the estimator lay out its weights."""
        e.partial_fit(np.zeros((1, self.rows.x.shape[1])), self.rows.y[:1], **self.first_call)

    def check(self) -> None:
        """Refuse an estimator of which these tensors are not all."""
        e = clone(self.estimator)
        self.make_room(e)
        self.plain(e)

    def plain(self, e: Any) -> None:
        name = type(e).__name__
        if getattr(e, "average", False):
            raise _answers.Refused(f"{name}(average={e.average!r}) predicts with an average over its own steps, which does not travel:"
                                   " want average=False; the federation averages")
        if missing := [a for a in ("coef_", "intercept_") if not isinstance(getattr(e, a, None), np.ndarray)]:
            raise _answers.Refused(f"{name} has no {' and no '.join(missing)}: want a linear model such as SGDClassifier(loss='log_loss') or SGDRegressor()")
        usual = _USUAL | {"coef_", "intercept_"} | set(e.get_params(deep=False))
        state = [a for a, v in vars(e).items() if a not in usual and (isinstance(v, np.ndarray) or a.endswith("_"))]
        if state:
            raise _answers.Refused(f"{name} learns {', '.join(sorted(state)[:5])} besides coef_ and intercept_, which would not travel:"
                                   " want SGDClassifier, SGDRegressor, Perceptron or their like, or fedmq_trainer.run with all its arrays")

    def scaled(self, x: Array, model: Dict[str, Array]) -> Array:
        if not self.zscore:
            return x
        sd = model[_SD]
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
        return {**model, "coef": e.coef_, "intercept": e.intercept_}

    def evaluate(self, model: Dict[str, Array], rows: _Rows) -> Dict[str, float]:
        predicted = self.load(model).predict(self.scaled(rows.x, model))
        if self.classes is None:
            return metrics.regression(rows.y, predicted)
        number = {label: i for i, label in enumerate(self.classes.tolist())}
        if strange := sorted(set(rows.y.tolist()) - set(number), key=str):
            raise _answers.Refused(f"the test rows have the label {strange[0]!r:.60}, which is none of classes: {list(number)!r:.200}")
        return metrics.classification([number[v] for v in rows.y.tolist()], [number[v] for v in predicted.tolist()], len(number))

    def first(self, job: Job) -> Dict[str, Array]:
        """Zeros, as scikit-learn begins."""
        e = clone(self.estimator)
        self.make_room(e)
        model = {"coef": np.zeros_like(e.coef_, dtype=np.float64), "intercept": np.zeros_like(e.intercept_, dtype=np.float64)}
        if self.zscore:
            d = self.rows.x.shape[1]
            model.update({_MEAN: np.zeros(d), _SD: np.ones(d)})
        return model
