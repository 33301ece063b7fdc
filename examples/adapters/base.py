"""Stands for a model that somebody else has trained: one that knows the digits 0 to 4. Writes init.safetensors."""
import sys

import numpy as np
import torch
from torch import nn

import fedmq_trainer
from net import Net, layers, rules

rows = torch.from_numpy(np.loadtxt(sys.argv[1], delimiter=",", skiprows=1, dtype=np.float32))
rows = rows[(rows[:, 0] == 0) & (rows[:, 1] < 5)]
x, y = rows[:, 2:] / 16, rows[:, 1].long()

torch.manual_seed(1)
own = layers()
model = nn.Sequential(own[0], nn.ReLU(), own[1], nn.ReLU(), own[2])
opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
for _ in range(5):
    for batch in torch.randperm(len(x)).split(32):
        opt.zero_grad()
        nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
        opt.step()

net = Net()
for layer, trained in zip(net.base, own):
    layer.load_state_dict(trained.state_dict())
fedmq_trainer.save("init.safetensors", {name: t.numpy() for name, t in net.state_dict().items()}, rules(net))
