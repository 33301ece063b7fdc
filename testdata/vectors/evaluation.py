#!/usr/bin/env python3
"""Makes evaluation.json: rows of sites, and what scikit-learn says of all of them together.

    python3 testdata/vectors/evaluation.py > testdata/vectors/evaluation.json
"""

import json

import numpy as np
import sklearn
from sklearn import metrics as sk

rng = np.random.default_rng(17)


def classification(name, sizes, shares, shift, sharp):
    """Sites whose probabilities are shifted against each other: a mean of their AUCs is
    none of all rows."""
    classes = len(shares[0])
    sites, ys, ps = [], [], []
    for i, n in enumerate(sizes):
        y = rng.choice(classes, n, p=shares[i])
        z = rng.normal(0, 1, (n, classes)) + sharp * np.eye(classes)[y]
        z[:, 0] -= shift[i]
        p = np.exp(z - z.max(1, keepdims=True))
        p = np.round(p / p.sum(1, keepdims=True), 6)
        p[:, -1] = np.round(1 - p[:, :-1].sum(1), 6)
        sites.append({"member": f"site-{i}", "actual": y.tolist(), "probabilities": p.tolist()})
        ys.append(y)
        ps.append(p)
    y, p = np.concatenate(ys), np.vstack(ps)
    guess = p.argmax(1)
    there = sorted(set(y.tolist()))
    one = np.eye(classes)[y]
    precision, recall, f1, rows = sk.precision_recall_fscore_support(y, guess, labels=range(classes), zero_division=0)
    auc = [sk.roc_auc_score(one[:, k], p[:, k]) if k in there else None for k in range(classes)]
    ap = [sk.average_precision_score(one[:, k], p[:, k]) if k in there else None for k in range(classes)]
    most = np.full(len(y), np.bincount(y).argmax())
    prior = np.bincount(y, minlength=classes) / len(y)
    clipped = np.clip(p, 1e-300, 1)  # no class has the probability 0
    per_site = [sk.roc_auc_score(one_y, q) for one_y, q in zip(ys, [q[:, 1] for q in ps])] if classes == 2 else []
    return {
        "name": name, "classes": classes, "sites": sites,
        "expected": {
            "accuracy": sk.accuracy_score(y, guess),
            "macro_f1": sk.f1_score(y, guess, labels=there, average="macro"),
            "balanced_accuracy": sk.balanced_accuracy_score(y, guess),
            "log_loss": -float(np.mean(np.log(clipped[np.arange(len(y)), y]))),
            "roc_auc": float(np.mean([a for a in auc if a is not None])),
            "average_precision": float(np.mean([a for a in ap if a is not None])),
        },
        "guess": {
            "accuracy": sk.accuracy_score(y, most),
            "macro_f1": sk.f1_score(y, most, labels=there, average="macro", zero_division=0),
            "balanced_accuracy": 1 / len(there),
            "log_loss": sk.log_loss(y, np.tile(prior[there], (len(y), 1)), labels=there),
        },
        "of_class": [
            {"rows": int(rows[k]), "precision": precision[k], "recall": recall[k], "f1": f1[k], "auc": auc[k], "ap": ap[k]}
            for k in range(classes)
        ],
        "confusion": sk.confusion_matrix(y, guess, labels=range(classes)).tolist(),
        "mean_of_site_auc": float(np.mean(per_site)) if per_site else None,
    }


def regression(name, sizes, offset):
    sites, ys, ps = [], [], []
    for i, n in enumerate(sizes):
        y = np.round(offset + rng.normal(i, 2, n), 4)
        p = np.round(y + rng.normal(0.3 * i, 0.5, n), 4)
        sites.append({"member": f"site-{i}", "actual": y.tolist(), "predicted": p.tolist()})
        ys.append(y)
        ps.append(p)
    y, p = np.concatenate(ys), np.concatenate(ps)
    mean = np.full(len(y), y.mean())
    return {
        "name": name, "sites": sites,
        "expected": {
            "rmse": float(np.sqrt(sk.mean_squared_error(y, p))), "mae": sk.mean_absolute_error(y, p),
            "r2": sk.r2_score(y, p), "bias": float(np.mean(p - y)),
        },
        "guess": {"rmse": float(np.sqrt(sk.mean_squared_error(y, mean))), "r2": 0.0, "bias": 0.0},
    }


print(json.dumps({
    "schema": "fedmq.vectors.evaluation.v1",
    "source": f"scikit-learn {sklearn.__version__} on the rows of all sites together",
    "classification": [
        classification("rare", [300, 200, 120], [[0.985, 0.015], [0.97, 0.03], [0.9, 0.1]], [0, 2.5, -3], 1.5),
        classification("four", [60, 40, 50], [[0.5, 0.3, 0.2, 0], [0.1, 0.6, 0.1, 0.2], [0.25, 0.25, 0.5, 0]], [0, 1, -1], 1.2),
        classification("never", [50, 30], [[0.6, 0.4, 0], [0.2, 0.8, 0]], [0, 0.5], 1),
    ],
    "regression": [regression("plain", [30, 20, 1], 0), regression("offset", [25, 25], 1e6)],
}, separators=(",", ":")))
