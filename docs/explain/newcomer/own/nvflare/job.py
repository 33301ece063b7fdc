import json
import shutil
import sys

import numpy as np
from nvflare.app_common.np.recipes.fedavg import NumpyFedAvgRecipe
from nvflare.recipe import SimEnv

name, lr = sys.argv[1:]
recipe = NumpyFedAvgRecipe(name=name, model=np.zeros(3), min_clients=2, num_rounds=10, train_script="client.py", train_args=lr)
result = recipe.execute(SimEnv(clients=["berlin", "lyon"])).get_result()
shutil.copy(f"{result}/server/simulate_job/models/server.npy", f"{name}.npy")
with open(f"{result}/server/simulate_job/metrics/round_metrics.jsonl") as f:
    rounds = [{m["name"]: m["value"] for m in json.loads(line)["aggregated_metrics"]} for line in f]
with open(f"{name}.json", "w") as f:
    json.dump([[r[k] for k in "0123"] for r in rounds], f)
