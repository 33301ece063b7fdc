from app.digits import Net, accuracy, load, train
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


def received(msg):
    model = Net()
    model.load_state_dict(msg.content["arrays"].to_torch_state_dict())
    return model


@app.train()
def fit(msg, context):
    x, y, _, _ = load(context.node_config["data"])
    model = received(msg)
    train(model, x, y, lr=context.run_config["lr"], epochs=context.run_config["epochs"])
    metrics = MetricRecord({"num-examples": len(x)})
    content = RecordDict({"arrays": ArrayRecord(model.state_dict()), "metrics": metrics})
    return Message(content=content, reply_to=msg)


@app.evaluate()
def evaluate(msg, context):
    _, _, xt, yt = load(context.node_config["data"])
    metrics = MetricRecord({"accuracy": accuracy(received(msg), xt, yt), "num-examples": len(xt)})
    return Message(content=RecordDict({"metrics": metrics}), reply_to=msg)
