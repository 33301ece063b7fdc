import json

import numpy as np
from flwr.app import ArrayRecord
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg

app = ServerApp()


@app.main()
def main(grid, context):
    result = FedAvg().start(grid=grid, initial_arrays=ArrayRecord([np.zeros(3)]), num_rounds=context.run_config["rounds"])
    path = f"/tmp/own/{context.run_config['name']}"
    np.save(path, result.arrays.to_numpy_ndarrays()[0])
    with open(f"{path}.json", "w") as f:
        json.dump([m["confusion"] for m in result.evaluate_metrics_clientapp.values()], f)
