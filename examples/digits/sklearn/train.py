"""Handwritten digits: what trains at one site. fedmq site starts it."""
import sys

import numpy as np
from sklearn.linear_model import SGDClassifier

import fedmq_trainer.sklearn

rows = np.loadtxt(sys.argv[1], delimiter=",", skiprows=1)
test, label, pixels = rows[:, 0] == 1, rows[:, 1].astype(int), rows[:, 2:] / 16

model = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.01)
fedmq_trainer.sklearn.run(
    model, pixels[~test], label[~test], test=(pixels[test], label[test]), classes=range(10))
