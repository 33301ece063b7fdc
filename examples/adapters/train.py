"""What trains at one site: the adapters alone. fedmq site starts it."""
import sys

import numpy as np
import torch
from torch import nn

import fedmq_trainer.torch
from net import Net, rules

rows = torch.from_numpy(np.loadtxt(sys.argv[1], delimiter=",", skiprows=1, dtype=np.float32))
test, label, pixels = rows[:, 0] == 1, rows[:, 1].long(), rows[:, 2:] / 16
x, y = pixels[~test], label[~test]


def train(model, job):
    opt = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=job.settings["lr"])
    for _ in job.steps(range(job.settings["epochs"])):
        for batch in torch.randperm(len(x)).split(32):
            opt.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            opt.step()


def evaluate(model, job):
    return fedmq_trainer.classification(label[test], model(pixels[test]).argmax(1), classes=10)


fedmq_trainer.torch.run(Net, samples=len(x), train=train, evaluate=evaluate, rules=rules(Net()), settings=["epochs", "lr"])
