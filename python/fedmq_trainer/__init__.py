"""Make a training script a site of a fedmq federation.

``fedmq site`` starts the script and talks to it; the data stay with the script.
Start with :func:`run` for weights as numpy arrays, with
:func:`fedmq_trainer.torch.run` for a PyTorch module, with
:func:`fedmq_trainer.sklearn.run` for a linear model of scikit-learn.

:func:`load` gives the model of a file, to predict with; :func:`federate` runs a
federation of a folder from a notebook.

The package never opens a network connection and never writes a file but the one
that the agent asks for. Rules cited as X-n are those of docs/spec/trainer.md.
"""

from ._federate import Federation, federate
from ._job import Cancelled, Job
from ._model import Model, load
from ._run import progress, run
from ._safetensors import BF16, BadFile, save
from .metrics import classification, moments, regression

__all__ = [
    "BF16", "BadFile", "Cancelled", "Federation", "Job", "Model",
    "classification", "federate", "load", "moments", "progress", "regression", "run", "save",
]
__version__ = "0.1.0"
