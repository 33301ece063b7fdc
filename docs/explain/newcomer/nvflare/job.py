from digits import Net
from nvflare.app_opt.pt.recipes import FedAvgRecipe
from nvflare.recipe import PocEnv

recipe = FedAvgRecipe(name="digits", min_clients=2, num_rounds=10, model=Net(), train_script="client.py")
run = recipe.execute(PocEnv(clients=["north", "south"]))
print(run.get_status(), run.get_result())
