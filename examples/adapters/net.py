"""A network whose base is frozen, with an adapter beside each of its layers."""
import torch
from torch import nn

RANK = 16
SIZES = [64, 512, 512, 10]


def layers():
    return [nn.Linear(i, o) for i, o in zip(SIZES, SIZES[1:])]


class Net(nn.Module):
    """Each layer is base(x) + up(down(x)), as in LoRA. Of an adapter only up learns: the mean of products is not the
    product of means, and with the same down everywhere the mean of the sites' up is the mean of what they learnt."""

    def __init__(self):
        super().__init__()
        self.base = nn.ModuleList(layers()).requires_grad_(False)
        self.down = nn.ModuleList(nn.Linear(b.in_features, RANK, bias=False) for b in self.base).requires_grad_(False)
        self.up = nn.ModuleList(nn.Linear(RANK, b.out_features, bias=False) for b in self.base)
        for up in self.up:
            nn.init.zeros_(up.weight)  # at first the base alone speaks

    def forward(self, x):
        for i, (base, down, up) in enumerate(zip(self.base, self.down, self.up)):
            x = torch.relu(x) if i else x
            x = base(x) + up(down(x))
        return x


def rules(net):
    """What is frozen is in the model, and never in an update."""
    return {name: "keep" for name, p in net.named_parameters() if not p.requires_grad}
