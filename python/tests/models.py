"""Models of every kind for tests, with rows."""

import json

import numpy as np

import fedmq_trainer as fm

INPUTS = [{"name": "flow", "unit": "m3/h"}, {"name": "mode", "values": ["idle", "run", "clean"]}, {"name": "kpa"}, {"name": "class"}]
FEATURES = [{"of": "flow", "clip": 1000, "slog": 0.5, "missing_flag": True}, {"of": "mode", "missing_flag": True},
            {"of": "kpa", "log1p": True}, {"of": "class"}, {"of": "flow"}]
WIDTH = 9  # of the features
THREE, TWO = ["worn", "ok", "dirty"], ["ok", "fault"]


def _net(*widths, **net):
    return {"widths": widths, "tensors": "layers", **net}


# By name: widths of the layers, what the contract says of target and network.
MODELS = {
    "linear": (_net(1, output="identity"), {"unit": "mm", "offset": 20, "scale": 5}),
    "linear-rows-left": (_net(1, output="identity"), {"rows_left": 120}),
    "softmax": (_net(3, output="softmax"), {"classes": THREE}),
    "softmax-two": (_net(2, output="softmax"), {"classes": TWO}),
    "mlp": (_net(8, 3, output="softmax"), {"classes": THREE}),
    "mlp-value": (_net(8, 5, 1, activation="tanh", output="identity"), {"scale": 3}),
    "mlp-two": (_net(8, 1, activation="logistic", output="logistic"), {"classes": TWO}),
    "mlp-two-turned": (_net(8, 1, output="logistic"), {"classes": TWO[::-1]}),
    "mlp-identity": (_net(4, 3, activation="identity", output="softmax"), {"classes": THREE}),
    "coef-value": (_net(1, output="identity", tensors="coef"), {}),
    "coef-two": (_net(1, output="logistic", tensors="coef"), {"classes": TWO}),
    "coef-two-turned": (_net(1, output="logistic", tensors="coef"), {"classes": TWO[::-1]}),
    "coef-three": (_net(3, output="ovr", tensors="coef"), {"classes": THREE}),
    "coef-margin": (_net(1, output="margin", tensors="coef"), {"classes": TWO}),
    "coef-margins": (_net(3, output="margin", tensors="coef"), {"classes": THREE}),
}


def contract_of(name):
    net, target = MODELS[name]
    return {"inputs": INPUTS, "features": FEATURES, "zclip": 3, "target": {"name": "result", **target},
            "net": {k: net[k] for k in ("tensors", "activation", "output") if k in net}}


def tensors_of(name):
    net, rng, width, out = MODELS[name][0], np.random.default_rng(len(name)), WIDTH, {}
    for i, wide in enumerate(net["widths"]):
        out[f"layers.{i}.weight"] = rng.normal(size=(wide, width)).astype("f4")
        out[f"layers.{i}.bias"] = rng.normal(size=wide).astype("f4")
        width = wide
    if net["tensors"] == "coef":
        w = out.pop("layers.0.weight").astype("f8")
        out = {"coef": w[0] if name == "coef-value" else w, "intercept": out.pop("layers.0.bias").astype("f8")}
    return {**out, "fedmq.mean": rng.normal(size=WIDTH), "fedmq.sd": np.append(rng.random(WIDTH - 1) + .5, 0)}


def about_of(name):
    """Some have a threshold for the first of two classes."""
    return {"task": name, **({"threshold": 0.3, "threshold_class": TWO[0]} if name == "softmax-two" or name.endswith("-turned") else {})}


def write(name, path):
    """The file that an aggregator would write."""
    fm.save(path, tensors_of(name), {"fedmq.mean": "keep", "fedmq.sd": "keep"},
            {"fedmq.contract": json.dumps(contract_of(name), separators=(",", ":")), "fedmq.about": json.dumps(about_of(name))})


def rows_of(name, n):
    """Rows with missing values and a text that is in no class."""
    rng = np.random.default_rng(n)
    x = {"flow": rng.normal(size=n) * 10.0 ** rng.integers(-2, 5, n), "mode": rng.choice(["idle", "run", "clean", "other", ""], n),
         "kpa": rng.random(n) * 100 - .9, "class": rng.normal(size=n)}
    for column in ("flow", "kpa"):
        x[column][rng.random(n) < .15] = np.nan
    return x
