"""Whether what a file says of itself fits its tensors, checked as fedmq itself checks it."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ._checked import quoted
from ._safetensors import Array, BadFile, type_name

MEAN, SD, CLASS_ROWS = "fedmq.mean", "fedmq.sd", "fedmq.class_rows"

_FLOATS = ("float32", "float64")


def of_network(name: str) -> bool:
    """Whether a tensor is the network's own: the others are of the scaling, or control variates of SCAFFOLD."""
    return name not in (MEAN, SD, CLASS_ROWS) and not name.startswith("fedmq.c/")


def about(text: str, meant: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
    """What the file says of task, version and threshold."""
    try:
        a = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise BadFile(f"fedmq.about: {e}") from None
    if not isinstance(a, dict):
        raise BadFile("fedmq.about: want a JSON object")
    local = a.get("local") or []
    if not isinstance(local, list) or not all(isinstance(name, str) for name in local) or not isinstance(a.get("own") or "", str):
        raise BadFile("fedmq.about: local: want the names of tensors, own: the node of a site")
    if (threshold := a.get("threshold")) is None:
        return a
    classes = (meant or {}).get("target", {}).get("classes") or []
    if len(classes) != 2 or a.get("threshold_class") not in classes:
        raise BadFile(f"fedmq.about: a threshold for {quoted(a.get('threshold_class', ''))}, want one of two classes, not of {_list(classes)}")
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or not 0 <= threshold <= 1:
        raise BadFile(f"fedmq.about: a threshold of {threshold}, want a probability, 0 to 1")
    return a


def outputs(c: Mapping[str, Any]) -> int:
    """How many numbers a model gives for a row: one a class, or one."""
    classes, output = c["target"].get("classes"), c["net"]["output"]
    return 1 if classes is None or output == "logistic" or output == "margin" and len(classes) == 2 else len(classes)


def shapes(c: Mapping[str, Any], features: Sequence[str], tensors: Mapping[str, Array]) -> None:
    """Refuse tensors that are not those of the contract."""
    _scaling(c, len(features), tensors)
    width, pairs = len(features), _layers(c, tensors)
    for i, (w, b) in enumerate(pairs):
        weight, bias = tensors[w], tensors.get(b)
        shape = (1, *weight.shape) if w == "coef" and weight.ndim == 1 else weight.shape
        if len(shape) != 2 or shape[0] < 1 or weight.dtype.name not in _FLOATS:
            raise BadFile(f"{w} is {_shape(weight)}, want float32 or float64 [outputs, inputs]")
        if shape[1] != width and i == 0:
            raise BadFile(f"the model has {shape[1]} inputs, the contract {width} features: {_list(features)}")
        if shape[1] != width:
            raise BadFile(f"{w} takes {shape[1]} inputs, the layer before gives {width}")
        width = shape[0]
        if bias is None or bias.dtype.name not in _FLOATS or bias.size != width:
            raise BadFile(f"want {b}, float32 or float64 [{width}], not {_shape(bias)}")
    if pairs and width != outputs(c):
        classes, name = c["target"].get("classes"), quoted(c["target"]["name"])
        has = f"a regression has 1: are the classes of {name} missing?" if classes is None else f"the contract {len(classes)} classes of {name}: {_list(classes)}"
        raise BadFile(f"the model has {width} outputs, {has}")


def _scaling(c: Mapping[str, Any], width: int, tensors: Mapping[str, Array]) -> None:
    if MEAN in tensors or SD in tensors:
        for name in (MEAN, SD):
            if (a := tensors.get(name)) is None or a.dtype.name != "float64" or a.shape != (width,):
                raise BadFile(f"{name} is {_shape(a)}, want float64 [{width}]: one for each feature of the contract")
    elif c.get("zclip") and c["net"].get("tensors"):
        raise BadFile(f"zclip: {c['zclip']:g} would cut values in the data's own units: the file has no {MEAN} and {SD}")


def _layers(c: Mapping[str, Any], tensors: Mapping[str, Array]) -> List[Tuple[str, str]]:
    """The names of weights and biases; none where only its own program knows the network."""
    kind = c["net"].get("tensors")
    if not kind:
        return []
    count = 1
    while kind == "layers" and f"layers.{count}.weight" in tensors:
        count += 1
    pairs = [("coef", "intercept")] if kind == "coef" else [(f"layers.{i}.weight", f"layers.{i}.bias") for i in range(count)]
    own = [name for name in tensors if of_network(name)]
    known = [name for pair in pairs for name in pair]
    if pairs[0][0] not in tensors:
        raise BadFile(f"the model has no {pairs[0][0]}: its tensors are {_list(own)}")
    if kind == "layers" and (more := [name for name in own if name not in known]):
        raise BadFile(f"no layer is made of the tensor {quoted(more[0])}: want {_list(known)}")
    return pairs


def _list(names: Sequence[Any]) -> str:
    return "[" + " ".join(map(quoted, names[:8])) + (" ..." if len(names) > 8 else "") + "]"


def _shape(a: Optional[Array]) -> str:
    return "not there" if a is None else f"{type_name(a.dtype)} {list(a.shape)}"
