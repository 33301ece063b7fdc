"""What a model means by its inputs and its output, computed with numpy alone.

The contract is the JSON object under ``fedmq.contract`` of a model's file.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence

import numpy as np

from . import _rows
from ._fits import MEAN, SD
from ._safetensors import Array

_ACTIVATIONS: Dict[str, Callable[[Array], Array]] = {
    "": lambda z: np.maximum(z, 0), "relu": lambda z: np.maximum(z, 0), "tanh": np.tanh,
    "logistic": lambda z: logistic(z), "identity": lambda z: z,
}


def logistic(z: Array) -> Array:
    """1 / (1 + exp(-z)), without overflow."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1 / (1 + e), e / (1 + e))


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    out: Array = e / e.sum(axis=1, keepdims=True)
    return out


class Inputs:
    """How rows become the model's inputs."""

    def __init__(self, contract: Mapping[str, Any]) -> None:
        self.inputs: List[Mapping[str, Any]] = list(contract["inputs"])
        self.features: List[Mapping[str, Any]] = list(contract.get("features") or ({"of": i["name"]} for i in self.inputs))
        self.window: Optional[Mapping[str, Any]] = contract.get("window")
        self.zclip = float(contract.get("zclip", 0))
        self.of_network = self._columns()  #: the names of what it reads
        if self.window:  # its statistics come from outside
            names = self.of_network = _free(f"{name}.{stat}" for stat in self.window["stats"] for name in self.of_network)
            self.inputs = [{"name": name} for name in names]
            self.features = [{"of": name} for name in names]
        self.names = [str(i["name"]) for i in self.inputs]

    def _columns(self) -> List[str]:
        """The names of the features, before windows."""
        values = {str(i["name"]): i.get("values") for i in self.inputs}
        out: List[str] = []
        for f in self.features:
            texts = values[f["of"]]
            out += [f["of"]] if texts is None else [f"{f['of']}={v}" for v in texts]
            out += [f"{f['of']}.missing"] if f.get("missing_flag") else []
        return out

    def rows(self, x: Any) -> Array:
        """The features of the rows, NaN where one is missing."""
        given = _rows.read(x, self.inputs)
        by_name = {str(i["name"]): i for i in self.inputs}
        parts: List[Array] = []
        for f in self.features:
            values = by_name[f["of"]].get("values")
            if values is None:
                parts.append(_transform(given[f["of"]], f)[:, None])
                missing = np.isnan(given[f["of"]])
            else:
                missing = given[f["of"]] < 0
                parts.append(np.where(missing[:, None], np.nan, given[f["of"]][:, None] == np.arange(len(values))))
            if f.get("missing_flag"):
                parts.append(missing[:, None].astype(np.float64))
        return np.concatenate(parts, axis=1)

    def scaled(self, x: Any, tensors: Mapping[str, Array]) -> Array:
        """What the first layer reads: z-scores if the model has them, 0 for missing."""
        z = self.rows(x)
        if MEAN in tensors:
            sd = np.asarray(tensors[SD], dtype=np.float64)
            z = (z - tensors[MEAN]) / np.where(sd > 0, sd, 1.0)
        z = np.where(np.isnan(z), 0.0, z)
        return np.clip(z, -self.zclip, self.zclip) if self.zclip > 0 else z


def _transform(v: Array, f: Mapping[str, Any]) -> Array:
    """Clip, then one of the two logarithms."""
    if f.get("clip"):
        v = np.clip(v, -f["clip"], f["clip"])
    if f.get("slog"):
        return np.copysign(np.log10(1 + np.abs(v) / f["slog"]), v)
    if f.get("log1p"):
        if (low := np.flatnonzero(v <= -1)).size:
            raise ValueError(f"row {low[0]}: {f['of']} is {v[low[0]]}, and log1p wants more than -1")
        return np.log1p(v)
    return v


def layers(net: Mapping[str, Any], tensors: Mapping[str, Array]) -> List["tuple[Array, Array]"]:
    """Weights [out, in] and biases [out] of each layer, in float64; none if only
    its own program knows the network."""
    if net.get("tensors") == "coef":
        pairs = [("coef", "intercept")]
    elif net.get("tensors") == "layers":
        count = sum(1 for n in tensors if n.startswith("layers.") and n.endswith(".weight"))
        pairs = [(f"layers.{i}.weight", f"layers.{i}.bias") for i in range(count)]
    else:
        return []
    return [(np.atleast_2d(np.asarray(tensors[w], dtype=np.float64)), np.asarray(tensors[b], dtype=np.float64).ravel()) for w, b in pairs]


def forward(z: Array, net: Mapping[str, Any], dense: Sequence["tuple[Array, Array]"]) -> Array:
    """What the last layer gives."""
    activation = _ACTIVATIONS[net.get("activation", "")]
    for i, (w, b) in enumerate(dense):
        with np.errstate(over="ignore", invalid="ignore"):  # the row is named by who asked
            z = z @ w.T + b
        if i + 1 < len(dense):
            z = activation(z)
    return z


def scores(z: Array, output: str, classes: int) -> Array:
    """One number a class; the largest wins, of equals the first."""
    if output == "logistic" or output == "margin" and classes == 2:
        z = z.reshape(len(z), 1)
        return np.concatenate([-z, z], axis=1)
    return z


def probabilities(z: Array, output: str, classes: int) -> Array:
    if output == "softmax":
        return softmax(z)
    if output == "logistic":
        return logistic(scores(z, output, classes))
    if output == "ovr":
        p = logistic(z)
        total = p.sum(axis=1, keepdims=True)
        return np.where(total == 0, 1 / classes, p / np.where(total == 0, 1, total))  # no class is likely: each as much
    raise ValueError(f"a model with the output {output!r} has no probabilities: it says which class, with decision_function for how far")


def value(z: Array, target: Mapping[str, Any]) -> Array:
    """The output in the unit of the target."""
    y = z.reshape(len(z))
    if left := target.get("rows_left", 0):
        rows: Array = np.clip(y, 0, 1) * left
        return rows
    scaled: Array = target.get("offset", 0.0) + (target.get("scale", 0) or 1.0) * y
    return scaled


def _free(names: Iterable[str]) -> List[str]:
    """The names, with underscores behind those that were there before."""
    out: List[str] = []
    for name in names:
        while name in out:
            name += "_"
        out.append(name)
    return out
