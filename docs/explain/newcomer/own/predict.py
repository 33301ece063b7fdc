import sys

import numpy as np
import pandas as pd
from plant import model, scaled

rows = pd.read_csv(sys.argv[2], sep=";", decimal=",")
rows["predicted"] = model(np.load(sys.argv[1])).predict(scaled(rows))
rows.to_csv(sys.argv[3], sep=";", decimal=",", index=False)
