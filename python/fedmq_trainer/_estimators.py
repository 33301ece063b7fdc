"""What of an estimator of scikit-learn travels, and what to do with those of which nothing can."""

from __future__ import annotations

from typing import Any, Dict, Optional, Sequence

import numpy as np

from ._answers import Refused
from ._safetensors import Array

# What a model has after partial_fit besides its weights: labels, counters of the
# call, what follows from its parameters, and an optimiser, which begins anew.
_USUAL = {"classes_", "n_features_in_", "feature_names_in_", "n_iter_", "t_", "loss_function_", "_loss_function_", "_expanded_class_weight",
          "n_layers_", "n_outputs_", "out_activation_", "loss_", "best_loss_", "loss_curve_", "validation_scores_", "best_validation_score_"}
_WEIGHTS = ("coef_", "intercept_", "coefs_", "intercepts_")

_LINEAR = "want SGDClassifier(loss='log_loss') or SGDRegressor()"

# By a part of the class's name: what to do instead.
_ADVICE = {
    "Pipeline": "want its last step, and x as the steps before it make it; zscore=True scales with the mean and deviation of the federation",
    "ColumnTransformer": "want an estimator, and x as this makes it",
    "Search": "want the estimator that it searches for, as it is: parameters are settings of the task (train:), so that a search is one task for each,"
              " or a search on one site's rows before",
    "TransformedTarget": "want its regressor, and y as the transformer makes it",
    "Calibrated": "want its estimator; SGDClassifier(loss='log_loss') and MLPClassifier have probabilities of their own",
    "OneVs": "want its estimator: SGDClassifier does one against the others by itself", "MultiOutput": "want one task for each output",
    "Voting": "want one of its estimators", "Stacking": "want one of its estimators", "Bagging": "want its estimator", "AdaBoost": "want MLPClassifier or MLPRegressor",
    "LogisticRegression": "want SGDClassifier(loss='log_loss'), the same model", "LinearRegression": "want SGDRegressor(), the same model",
    "Ridge": "want SGDRegressor(penalty='l2'), or SGDClassifier", "Lasso": "want SGDRegressor(penalty='l1'), the same model",
    "ElasticNet": "want SGDRegressor(penalty='elasticnet'), the same model",
    "SVC": "want SGDClassifier(loss='hinge'), the linear one", "SVR": "want SGDRegressor(loss='epsilon_insensitive'), the linear one",
    "Tree": "its trees have no weights that can be averaged: want MLPClassifier or MLPRegressor",
    "Forest": "its trees have no weights that can be averaged: want MLPClassifier or MLPRegressor",
    "GradientBoosting": "its trees have no weights that can be averaged: want MLPClassifier or MLPRegressor",
    "Neighbors": "it keeps rows, which stay at the site: want MLPClassifier or MLPRegressor",
    "MLP": "solver='lbfgs' wants all rows at once: want solver='adam' or 'sgd'",
}


def weights(estimator: Any) -> Dict[str, Array]:
    """The weights of a fitted estimator by the names of the tensors, as views that can be written:
    layers.<i>.weight [outputs, inputs] and layers.<i>.bias of a network, else coef and intercept."""
    if not hasattr(estimator, "coefs_"):
        return {"coef": estimator.coef_, "intercept": estimator.intercept_}
    out: Dict[str, Array] = {}
    for i, (w, b) in enumerate(zip(estimator.coefs_, estimator.intercepts_)):
        out.update({f"layers.{i}.weight": w.T, f"layers.{i}.bias": b})
    return out


def net(estimator: Any, labels: Optional[Sequence[Any]]) -> Dict[str, str]:
    """How the tensors make an output, as a contract says it."""
    network = hasattr(estimator, "hidden_layer_sizes")
    out = {"tensors": "layers" if network else "coef"}
    if network and estimator.activation != "relu":
        out["activation"] = estimator.activation
    if labels is None:
        return {**out, "output": "identity"}
    if network:
        return {**out, "output": "logistic" if len(labels) == 2 else "softmax"}
    if getattr(estimator, "loss", "") != "log_loss":
        return {**out, "output": "margin"}
    return {**out, "output": "logistic" if len(labels) == 2 else "ovr"}


def fill(estimator: Any, model: Dict[str, Array]) -> None:
    """Give an estimator the weights of a model. What training has besides begins anew."""
    for name, a in weights(estimator).items():
        if name not in model or model[name].shape != a.shape:
            has = f"is {list(model[name].shape)}" if name in model else "is not"
            raise Refused(f"{name} {has} in the global model, and {list(a.shape)} in {type(estimator).__name__}: want the same parameters as those of the first model")
        a[...] = model[name]
    if not hasattr(estimator, "coefs_"):
        if hasattr(estimator, "t_"):
            estimator.t_ = 1.0
        return
    estimator.t_, estimator.best_loss_, estimator.loss_curve_, estimator._no_improvement_count = 0, np.inf, [], 0
    del estimator._optimizer


def trainable(estimator: Any) -> None:
    """Refuse an estimator that does not learn from the weights that it has."""
    if hasattr(estimator, "partial_fit"):
        return
    name = type(estimator).__name__
    raise Refused(f"{name} has no partial_fit, to train on from the federation's weights: {next((a for part, a in _ADVICE.items() if part in name), _LINEAR)}")


def plain(estimator: Any) -> None:
    """Refuse an estimator of which weights() is not all that it has learned."""
    name = type(estimator).__name__
    if getattr(estimator, "average", False):
        raise Refused(f"{name}(average={estimator.average!r}) predicts with an average over its own steps, which does not travel:"
                      " want average=False; the federation averages")
    if not hasattr(estimator, "coefs_"):
        if missing := [a for a in ("coef_", "intercept_") if not isinstance(getattr(estimator, a, None), np.ndarray)]:
            raise Refused(f"{name} has no {' and no '.join(missing)}: {_LINEAR}, MLPClassifier or MLPRegressor")
    usual = _USUAL | set(_WEIGHTS) | set(estimator.get_params(deep=False))
    state = [a for a, v in vars(estimator).items() if a not in usual and (isinstance(v, np.ndarray) or a.endswith("_"))]
    if state:
        raise Refused(f"{name} learns {', '.join(sorted(state)[:5])} besides its weights, which would not travel:"
                      f" {_LINEAR}, Perceptron, MLPClassifier or their like, or fedmq_trainer.run with all its arrays")
