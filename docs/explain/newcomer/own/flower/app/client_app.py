from app.plant import confusion, load, train
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


def rows(context):
    return load(f"/tmp/own/{['berlin', 'lyon'][context.node_config['partition-id']]}.csv")


@app.train()
def fit(msg, context):
    x, y, _, _ = rows(context)
    weights = train(msg.content["arrays"].to_numpy_ndarrays()[0], x, y, lr=context.run_config["lr"])
    return Message(RecordDict({"arrays": ArrayRecord([weights]), "metrics": MetricRecord({"num-examples": len(x)})}), reply_to=msg)


@app.evaluate()
def evaluate(msg, context):
    _, _, xt, yt = rows(context)
    shares = confusion(msg.content["arrays"].to_numpy_ndarrays()[0], xt, yt) / len(xt)  # averaged by rows: their ratios are those of the sums
    return Message(RecordDict({"metrics": MetricRecord({"confusion": shares.tolist(), "num-examples": len(xt)})}), reply_to=msg)
