import sys

import fedmq_trainer.torch
from digits import Net, load, train

x, y, xt, yt = load(sys.argv[1])


def fit(model, job):
    train(model, x, y, lr=job.settings["lr"], epochs=job.settings["epochs"])


def evaluate(model, job):
    return fedmq_trainer.classification(yt, model(xt).argmax(1), classes=10)


fedmq_trainer.torch.run(Net, samples=len(x), train=fit, evaluate=evaluate)
