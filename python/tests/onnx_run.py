"""Checks ONNX files and runs them, for a Python that has no onnxruntime.

Reads a JSON object from standard input, files with their inputs by name, and writes
one with their outputs by name, and their metadata.
"""

import json
import sys

import numpy as np
import onnx
import onnxruntime

TYPES = {"tensor(double)": np.float64, "tensor(float)": np.float32, "tensor(string)": object}


def column(values, kind):
    a = np.array([np.nan if v is None else v for v in values], dtype=TYPES[kind])
    return a if a.ndim > 1 else a[:, None]


def run(path, given):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(path)
    feed = {i.name: column(given[i.name], i.type) for i in session.get_inputs()}
    names = [o.name for o in session.get_outputs()]
    out = {name: v.tolist() for name, v in zip(names, session.run(None, feed))}
    return {"outputs": out, "meta": {p.key: p.value for p in model.metadata_props}, "opset": {o.domain: o.version for o in model.opset_import}}


json.dump({path: run(path, given) for path, given in json.load(sys.stdin).items()}, sys.stdout)
