"""Safetensors files, as fedmq reads and writes them (X-3)."""

from __future__ import annotations

import json
import os
import struct
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

#: numpy has no bfloat16: such tensors are arrays of this type, bit for bit.
BF16 = np.dtype([("bf16", "<u2")])

# In the order in which a file holds them: wide types first.
_TYPES: Dict[str, "np.dtype[Any]"] = {
    "I64": np.dtype("<i8"), "F64": np.dtype("<f8"), "F32": np.dtype("<f4"), "BF16": BF16, "F16": np.dtype("<f2"),
}
_NAMES = {dtype: name for name, dtype in _TYPES.items()}
_RULES = ("mean", "max", "keep")
_META, _RULES_KEY = "__metadata__", "fedmq.rules"
_MAX_HEADER = 1 << 20


class BadFile(ValueError):
    """A file that is no acceptable safetensors file."""


class Model(NamedTuple):
    """What a file holds."""

    tensors: Dict[str, Array]  #: by name
    rules: Dict[str, str]  #: those that are not "mean", by name
    metadata: Dict[str, str]  #: of the file, the rules aside


def load(path: "str | os.PathLike[str]") -> Model:
    """Read a file. The arrays are the caller's own."""
    with open(path, "rb") as f:
        return decode(f.read())


def save(path: "str | os.PathLike[str]", tensors: Mapping[str, Array], rules: Optional[Mapping[str, str]] = None,
         metadata: Optional[Mapping[str, str]] = None) -> None:
    """Write a file; the same content always gives the same bytes."""
    data = encode(tensors, rules, metadata)
    with open(path, "wb") as f:
        f.write(data)


def decode(data: bytes) -> Model:
    """Read the bytes of a file."""
    if len(data) < 8:
        raise BadFile("no safetensors file: shorter than 8 bytes")
    (size,) = struct.unpack_from("<Q", data)
    if not 2 <= size <= min(_MAX_HEADER, len(data) - 8):
        raise BadFile(f"a header of {size} bytes in a file of {len(data)}")
    try:
        header = json.loads(data[8 : 8 + size].decode("utf-8"), object_pairs_hook=_unique)
    except ValueError as e:
        raise BadFile(f"header: {e}") from None
    if not isinstance(header, dict):
        raise BadFile("the header is no JSON object")
    metadata, rules = _metadata(header.pop(_META, {}))
    tensors: Dict[str, Array] = {}
    end, blob = 0, memoryview(data)[8 + size :]
    spans = sorted((_entry(name, e) for name, e in header.items()), key=lambda s: s[1:3])
    for name, start, stop, dtype, shape in spans:
        if start != end or stop - start != dtype.itemsize * int(np.prod(shape, dtype=object)):
            raise BadFile(f"tensor {name!r}: bytes {start} to {stop} do not follow byte {end} with its size")
        if stop > len(blob):
            raise BadFile(f"tensor {name!r}: the file ends before its values")
        tensors[name] = np.frombuffer(blob[start:stop], dtype=dtype).reshape(shape).copy()
        end = stop
    if end != len(blob):
        raise BadFile("bytes after the last tensor")
    if unknown := set(rules) - set(tensors):
        raise BadFile(f"{_RULES_KEY} names {sorted(unknown)[0]!r}, which is not in the file")
    return Model({name: tensors[name] for name in sorted(tensors, key=_order)}, rules, metadata)


def encode(tensors: Mapping[str, Array], rules: Optional[Mapping[str, str]] = None,
           metadata: Optional[Mapping[str, str]] = None) -> bytes:
    """Return the bytes of a file."""
    arrays = {name: _carried(name, a) for name, a in tensors.items()}
    special = {name: rule for name, rule in (rules or {}).items() if rule != "mean"}
    for name, rule in special.items():
        if rule not in _RULES:
            raise ValueError(f"rule {rule!r} of tensor {name!r}: want one of {', '.join(_RULES)}")
        if name not in arrays:
            raise ValueError(f"a rule for {name!r}, which is no tensor of the model: {', '.join(sorted(arrays)[:5])}")
    meta = dict(metadata or {})
    if special:
        meta[_RULES_KEY] = _json({name: special[name] for name in sorted(special, key=_order)})
    header: Dict[str, Any] = {_META: {k: meta[k] for k in sorted(meta, key=_order)}} if meta else {}
    names = sorted(arrays, key=lambda n: (list(_TYPES.values()).index(arrays[n].dtype), _order(n)))
    at = 0
    for name in names:
        a = arrays[name]
        header[name] = {"dtype": _NAMES[a.dtype], "shape": list(a.shape), "data_offsets": [at, at + a.nbytes]}
        at += a.nbytes
    text = _json(header).encode("utf-8")
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(arrays[n].tobytes() for n in names)


def carries(dtype: "np.dtype[Any]") -> bool:
    """Whether a tensor of this type can travel."""
    return dtype.newbyteorder("<") in _NAMES


def type_name(dtype: "np.dtype[Any]") -> str:
    """What people call it."""
    return "bfloat16" if dtype == BF16 else str(dtype)


def _named(name: str) -> str:
    """Refuse what stands for bytes that are no text: two names could fall together."""
    if "\ufffd" in name or any("\ud800" <= c <= "\udfff" for c in name):
        raise BadFile(f"tensor {name!r}: the name is no UTF-8")
    if name == _META:
        raise BadFile(f"tensor {name!r}: the name is that of a file's metadata")
    return name


def _carried(name: str, value: Array) -> Array:
    a = np.asarray(value)
    _named(name)
    if not carries(a.dtype):
        raise ValueError(f"tensor {name!r} is {a.dtype}: float32, float64, int64, float16 and fedmq_trainer.BF16 can travel")
    return np.require(a.astype(a.dtype.newbyteorder("<"), copy=False), requirements="C").reshape(a.shape)


def _order(name: str) -> bytes:
    return name.encode("utf-8")


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _unique(pairs: "list[Tuple[str, Any]]") -> Dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise BadFile("a member comes twice")
    return out


def _metadata(raw: Any) -> Tuple[Dict[str, str], Dict[str, str]]:
    if not isinstance(raw, dict) or not all(isinstance(v, str) for v in raw.values()):
        raise BadFile("metadata is not an object of strings")
    meta: Dict[str, str] = dict(raw)
    try:
        rules = json.loads(meta.pop(_RULES_KEY, "{}"))
    except ValueError as e:
        raise BadFile(f"{_RULES_KEY}: {e}") from None
    if not isinstance(rules, dict) or not all(r in _RULES for r in rules.values()):
        raise BadFile(f"{_RULES_KEY}: want an object of {', '.join(_RULES)}")
    return meta, {name: rule for name, rule in rules.items() if rule != "mean"}


def _entry(name: str, e: Any) -> "Tuple[str, int, int, np.dtype[Any], Tuple[int, ...]]":
    _named(name)
    if not isinstance(e, dict) or set(e) != {"dtype", "shape", "data_offsets"}:
        raise BadFile(f"tensor {name!r}: want dtype, shape and data_offsets")
    dtype = _TYPES.get(e["dtype"]) if isinstance(e["dtype"], str) else None
    if dtype is None:
        raise BadFile(f"tensor {name!r}: dtype {e['dtype']!r} is not supported")
    shape, span = e["shape"], e["data_offsets"]
    for ints in (shape, span):
        if not isinstance(ints, list) or not all(type(i) is int and i >= 0 for i in ints):
            raise BadFile(f"tensor {name!r}: sizes and offsets are integers from 0")
    if len(span) != 2:
        raise BadFile(f"tensor {name!r}: data_offsets has {len(span)} numbers")
    return name, span[0], span[1], dtype, tuple(shape)
