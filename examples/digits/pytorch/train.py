"""Handwritten digits: what trains at one site. fedmq site starts it."""
import sys

import numpy as np
import torch
from torch import nn

import fedmq_trainer.torch

rows = torch.from_numpy(np.loadtxt(sys.argv[1], delimiter=",", skiprows=1, dtype=np.float32))
test, label, pixels = rows[:, 0] == 1, rows[:, 1].long(), rows[:, 2:] / 16
x, y = pixels[~test], label[~test]


def net():
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def train(model, job):
    opt = torch.optim.SGD(model.parameters(), lr=job.settings["lr"], momentum=0.9)
    for _ in job.steps(range(job.settings["epochs"])):
        for batch in torch.randperm(len(x)).split(32):
            opt.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            opt.step()


def evaluate(model, job):
    out = model(pixels[test])
    loss = nn.functional.cross_entropy(out, label[test], reduction="sum")
    return fedmq_trainer.classification(label[test], out.argmax(1), classes=10, loss_sum=loss, probabilities=out.softmax(1))


fedmq_trainer.torch.run(net, samples=len(x), train=train, evaluate=evaluate, settings=["epochs", "lr"])
