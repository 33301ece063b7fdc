"""A model's file as something that predicts."""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, Mapping, Optional

import numpy as np

from . import _checked, _contract, _fits, _safetensors
from ._safetensors import Array


class Model:
    """What a file holds, and what it predicts.

    ``x`` of the methods is a pandas frame or a mapping of columns with the names of the
    model's inputs, a list of rows as mappings, or a matrix with the inputs in order. A
    number that is missing is NaN or None. Nothing has to be scaled.
    """

    def __init__(self, file: _safetensors.Model, net: Any = None) -> None:
        self.tensors: Dict[str, Array] = file.tensors  #: all of them, by name
        self.rules: Dict[str, str] = file.rules  #: those that are not "mean", by name
        self.metadata: Dict[str, str] = file.metadata  #: of the file, the rules aside
        said = file.metadata.get("fedmq.contract")
        self.contract: Optional[Dict[str, Any]] = None if said is None else _checked.contract(said)  #: what inputs and output mean
        self.about: Dict[str, Any] = _fits.about(file.metadata.get("fedmq.about", "{}"), self.contract)  #: task, version, metrics ...
        for name, a in self.tensors.items():
            if a.dtype.kind == "f" and not np.isfinite(a).all():
                raise _safetensors.BadFile(f"tensor {name!r} has values that are not finite: nothing can be predicted with it")
        if self.contract is not None:
            _fits.shapes(self.contract, _contract.Inputs(self.contract).of_network, self.tensors)
        self.net = net
        self._call: Optional[Callable[[Array], Array]] = None
        if net is not None:
            self._call = _wrap(net, self.state_dict())

    @property
    def features(self) -> List[str]:
        """The names of the inputs, in order."""
        return _contract.Inputs(self._meaning()).names

    @property
    def classes_(self) -> Array:
        """The classes, in the order of :meth:`predict_proba`."""
        if (classes := self._meaning()["target"].get("classes")) is None:
            raise AttributeError(f"classes_: the model gives a value, {self._meaning()['target']['name']!r}, and no class")
        return np.asarray(classes)

    def state_dict(self) -> Dict[str, Array]:
        """The tensors of the network by name, without those of the scaling and of a strategy."""
        return {name: a for name, a in self.tensors.items() if _fits.of_network(name)}

    def transform(self, x: Any) -> Array:
        """What the network reads of the rows: [rows, inputs of the network]."""
        if self._call is not None and isinstance(x, np.ndarray) and x.ndim > 2:
            return x  # pictures and the like
        return _contract.Inputs(self._meaning()).scaled(x, self.tensors)

    def decision_function(self, x: Any) -> Array:
        """What the network gives, one number a class."""
        return _contract.scores(self._forward(x), self._output(), len(self.classes_))

    def predict_proba(self, x: Any) -> Array:
        """The probability of each class: [rows, classes]."""
        classes = self.classes_
        return _contract.probabilities(self._forward(x), self._output(), len(classes))

    def predict(self, x: Any) -> Array:
        """The class of each row, as text, or the value in the unit of the target. Of two classes it is that of
        ``about["threshold_class"]`` from the probability ``about["threshold"]`` on, where the file has one."""
        target = self._meaning()["target"]
        if target.get("classes") is None:
            return _contract.value(self._forward(x), target)
        if (threshold := self.about.get("threshold")) is not None and self._output() != "margin":
            classes = self.classes_.tolist()
            at = classes.index(self.about["threshold_class"])
            of_two: Array = np.where(self.predict_proba(x)[:, at] >= threshold, classes[at], classes[1 - at])
            return of_two
        best: Array = self.classes_[self.decision_function(x).argmax(axis=1)]
        return best

    def to_sklearn(self) -> Any:
        """A fitted pipeline of scikit-learn that predicts the same, with the same probabilities; a threshold is not in it."""
        from . import _to_sklearn
        self._require_whole()
        return _to_sklearn.pipeline(self)

    def layers(self) -> List["tuple[Array, Array]"]:
        """Weights [out, in] and biases [out] of each layer, in float64."""
        dense = _contract.layers(self._meaning()["net"], self.tensors)
        if not dense:
            raise ValueError("only its own program knows the network of this model: want fedmq_trainer.load(FILE, net) with the"
                             f" module that has the tensors {', '.join(list(self.state_dict())[:3])}, or the ONNX file that"
                             " fedmq model export FILE --onnx OUT --skeleton GRAPH.onnx writes")
        return dense

    def _require_whole(self) -> None:
        """Refuse a file without the tensors that each site has trained for itself (``about["local"]``): it has those
        that the task began with, and nothing can be predicted with them."""
        if (local := self.about.get("local")) and not self.about.get("own"):
            raise ValueError(f"{', '.join(local[:8])} stay at the sites (strategy.keep_local, share), each of which trains its own: the file has the"
                             " values that the task began with; the model of one site is what fedmq model get --own DATA_DIR writes, with that"
                             " site's data directory")

    def _forward(self, x: Any) -> Array:
        """The outputs of the network, as many for each row as the contract says."""
        self._require_whole()
        z, meaning = self.transform(x), self._meaning()
        y = _contract.forward(z, meaning["net"], self.layers()) if self._call is None else np.asarray(self._call(z), dtype=np.float64)
        want = (len(z), _fits.outputs(meaning))
        if y.shape == want[:1] and want[1] == 1:
            y = y[:, None]
        if y.shape != want:
            of = ", ".join(meaning["target"].get("classes", [])[:8]) or meaning["target"]["name"]
            raise ValueError(f"the network gives {list(y.shape)} for {len(z)} rows, want {list(want)} for {of}")
        if (wrong := np.flatnonzero(~np.isfinite(y).all(axis=1))).size:
            raise ValueError(f"row {wrong[0]} has no prediction: its values are too large for the model's")
        return y

    def _output(self) -> str:
        return str(self._meaning()["net"]["output"])

    def _meaning(self) -> Dict[str, Any]:
        if self.contract is None:
            raise ValueError("the file has no fedmq.contract in its metadata, which says what inputs and output mean: want one that an"
                             " aggregator of this version or fedmq model get has written; tensors and state_dict() are what it has")
        return self.contract

    def __repr__(self) -> str:
        what = "no contract" if self.contract is None else f"{len(self.features)} inputs, {self.contract['target']['name']}"
        return f"<fedmq_trainer.Model {self.about.get('task', '')}: {len(self.tensors)} tensors, {what}>"


def load(path: "str | os.PathLike[str]", net: Any = None) -> Model:
    """Read a model's file. ``net`` is the network where only its own program knows it: a
    ``torch.nn.Module``, which gets the weights, or a function from an array to an array.
    """
    return Model(_safetensors.load(path), net)


def _wrap(net: Any, weights: Mapping[str, Array]) -> Callable[[Array], Array]:
    """A function from an array to an array that uses the weights."""
    if hasattr(net, "load_state_dict"):
        from . import torch as helper
        return helper.predictor(net, weights)
    if not callable(net):
        raise ValueError(f"net is a {type(net).__name__}, want a torch.nn.Module or a function from an array to an array")
    return lambda x: np.asarray(net(x), dtype=np.float64)
