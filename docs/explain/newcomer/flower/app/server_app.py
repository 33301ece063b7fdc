import torch
from app.digits import Net
from flwr.app import ArrayRecord
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg

app = ServerApp()


@app.main()
def main(grid, context):
    initial = ArrayRecord(Net().state_dict())
    result = FedAvg().start(grid=grid, initial_arrays=initial, num_rounds=context.run_config["rounds"])
    torch.save(result.arrays.to_torch_state_dict(), "model.pt")
