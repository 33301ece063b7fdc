"""A model as a fitted pipeline of scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Tuple

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, LabelBinarizer

from . import _contract
from ._safetensors import Array

if TYPE_CHECKING:
    from ._model import Model

Dense = List[Tuple[Array, Array]]


def pipeline(model: "Model") -> Pipeline:
    """Steps "inputs" (missing values, transformations, scaling) and "model"."""
    dense = model.layers()
    contract = model._meaning()
    net, target = contract["net"], contract["target"]
    if target.get("classes") is None:
        last = _unit(_regressor(net, dense), target)
    else:
        last = _classifier(net, dense, model.classes_)
    return Pipeline([("inputs", FunctionTransformer(model.transform)), ("model", last)])


def _set(estimator: Any, **state: Any) -> Any:
    for name, v in state.items():
        setattr(estimator, name, v)
    return estimator


def _classifier(net: Dict[str, Any], dense: Dense, classes: Array) -> Any:
    w, b = dense[0]
    if len(dense) > 1:
        return _set(MLPClassifier(**_shape(net, dense)), classes_=classes, _label_binarizer=_binarizer(net, classes), **_state(dense, net["output"]))
    if net["output"] == "softmax":
        if len(classes) == 2:  # scikit-learn keeps one row for two classes
            w, b = w[1:] - w[:1], b[1:] - b[:1]
        return _set(LogisticRegression(), coef_=w, intercept_=b, classes_=classes, n_features_in_=w.shape[1])
    loss = "hinge" if net["output"] == "margin" else "log_loss"
    return _set(SGDClassifier(loss=loss), coef_=w, intercept_=b, classes_=classes, n_features_in_=w.shape[1])


def _regressor(net: Dict[str, Any], dense: Dense) -> Any:
    if len(dense) > 1:
        return _set(MLPRegressor(**_shape(net, dense)), **_state(dense, "identity"))
    w, b = dense[0]
    return _set(LinearRegression(), coef_=w[0], intercept_=b[0], n_features_in_=w.shape[1])


def _unit(regressor: Any, target: Dict[str, Any]) -> Any:
    """Brings the output to the unit of the target."""
    if not any(target.get(k) for k in ("offset", "scale", "rows_left")):
        return regressor
    back = FunctionTransformer(inverse_func=_Unit(target), check_inverse=False)
    return _set(TransformedTargetRegressor(regressor), regressor_=regressor, transformer_=back.fit(np.zeros((1, 1))),
                _training_dim=1)


class _Unit:
    """A function that can be pickled."""

    def __init__(self, target: Dict[str, Any]) -> None:
        self.target = target

    def __call__(self, y: Array) -> Array:
        return _contract.value(y, self.target)[:, None]


def _shape(net: Dict[str, Any], dense: Dense) -> Dict[str, Any]:
    return {"hidden_layer_sizes": tuple(len(b) for _, b in dense[:-1]), "activation": net.get("activation") or "relu"}


def _state(dense: Dense, output: str) -> Dict[str, Any]:
    return {"coefs_": [w.T for w, _ in dense], "intercepts_": [b for _, b in dense], "n_layers_": len(dense) + 1,
            "n_outputs_": len(dense[-1][1]), "out_activation_": output, "n_features_in_": dense[0][0].shape[1]}


def _binarizer(net: Dict[str, Any], classes: Array) -> LabelBinarizer:
    """It turns the outputs into classes, in their order."""
    kind = "binary" if net["output"] == "logistic" else "multiclass"
    return _set(LabelBinarizer(), classes_=classes, y_type_=kind, sparse_input_=False)
