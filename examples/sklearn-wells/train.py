"""Oil wells: what trains at one of ten sites.  train.py S01"""
import sys

import numpy as np
from sklearn.linear_model import SGDClassifier

import fedmq_trainer.sklearn

table = np.genfromtxt("../wells/windows.csv.gz", delimiter=",", names=True, dtype=None, encoding="utf-8")
table = table[table["site"] == sys.argv[1]]


def slog(names, scale):
    """sign(v) log10(1 + |v| / scale): field data have values of 1e9 and frozen zeros."""
    v = np.stack([table[n].astype(float) for n in names], axis=1)
    return np.sign(v) * np.log10(1 + np.minimum(np.abs(v), 1e8) / scale)


columns = list(table.dtype.names)
pressures = [c[:-5] for c in columns if c.startswith("p_") and c.endswith("_mean")]
others = [c[:-5] for c in columns if c[:2] in ("t_", "qg") and c.endswith("_mean")]
levels = [slog([c + "_mean" for c in pressures], 1e4), slog([c + "_mean" for c in others], 0.1)]
x = np.hstack(levels + [np.isnan(v) for v in levels] + [
    slog([c + stat for c in group], scale)
    for group, scale in ((pressures, 100), (others, 0.001)) for stat in ("_std", "_slope")])
y, test = table["label"], table["split"] == "test"

fedmq_trainer.sklearn.run(
    SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.02), x[~test], y[~test],
    test=(x[test], y[test]), classes=[0, 1, 2, 5, 6, 7, 8], zscore=True)
