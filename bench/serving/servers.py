"""What is measured: how each server is started, asked, and understood."""

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import environments
from models import APPS, Model

PORT = 8200
NUMBERS = ("logistic", "forest", "boosting")
QUIET = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(APPS)}


class Ask(NamedTuple):
    """One request."""

    path: str
    body: bytes
    headers: Mapping[str, str] = {"Content-Type": "application/json"}


class Server(NamedTuple):
    """One configuration of one server; ``models`` are those it can serve, all if empty."""

    name: str
    environment: str
    command: Callable[[Path, Model], list[str]]
    ask: Callable[[Model, int], Ask]
    read: Callable[[Any], list[list[float]]] | None
    variables: Mapping[str, str] = {}
    models: tuple[str, ...] = ()
    points: tuple[str, ...] = ("c1", "c16", "c64", "bulk")


def start(work: Path, server: Server, model: Model) -> subprocess.Popen[bytes]:
    """Start a server; its output goes to a file in ``work``."""
    variables = os.environ | QUIET | {"MODEL": str(model.folder / "model.joblib")}
    variables |= server.variables
    programs = environments.python(work, server.environment).parent
    variables["PATH"] = f"{programs}:{os.environ['PATH']}"  # MLflow starts uvicorn by its name
    with (work / "server.log").open("wb") as log:
        return subprocess.Popen(
            server.command(work, model), env=variables, stdout=log, stderr=log, cwd=work,
            start_new_session=True,
        )  # fmt: skip


def _program(work: Path, environment: str, name: str) -> str:
    return str(environments.python(work, environment).with_name(name))


def _mlkit(work: Path, model: Model) -> list[str]:
    words = ["--project", str(model.folder / "project"), "serve", "--port", str(PORT)]
    return [_program(work, "mlkit", "mlkit"), *words]


def _ask_mlkit(model: Model, count: int) -> Ask:
    if count > 1 and model.name in NUMBERS:
        return _ask_v2(model, count, "probabilities")
    return Ask(f"/predict/{model.name}", json.dumps({"rows": model.objects(count)}).encode())


def _read_mlkit(reply: Any) -> list[list[float]]:
    if "predictions" in reply:
        return [list(row["probabilities"].values()) for row in reply["predictions"]]
    return _read_v2(reply)


def _read_v2(reply: Any) -> list[list[float]]:
    names = ("probabilities", "predict_proba")
    output = next(output for output in reply["outputs"] if output["name"] in names)
    rows, width = output["shape"]
    data = output["data"]
    return [data[i * width : (i + 1) * width] for i in range(rows)]


def _tensor(model: Model, count: int) -> dict[str, Any]:
    data = [value for row in model.lists(count) for value in row]
    shape = [count, len(model.columns)]
    return {"inputs": [{"name": "rows", "shape": shape, "datatype": "FP64", "data": data}]}


def _hello(threads: int) -> Callable[[Path, Model], list[str]]:
    def command(work: Path, _model: Model) -> list[str]:
        words = ["--interface", "wsgi", "--workers", "2", "--no-ws", "--http", "1",
                 "--blocking-threads", str(threads), "--port", str(PORT), "hello:app"]  # fmt: skip
        return [_program(work, "mlkit", "granian"), *words]

    return command


def _fastapi(work: Path, _model: Model) -> list[str]:
    words = ["fastapi_app:app", "--port", str(PORT), "--log-level", "warning", "--workers", "2"]
    return [_program(work, "fastapi", "uvicorn"), *words]


def _ask_rows(model: Model, count: int) -> Ask:
    if model.name in NUMBERS:
        return Ask("/predict", json.dumps({"rows": model.lists(count)}).encode())
    return Ask("/records", json.dumps({"rows": model.objects(count)}).encode())


def _ask_predict(model: Model, count: int) -> Ask:
    rows: Any = model.lists(count) if model.name in NUMBERS else model.objects(count)
    return Ask("/predict", json.dumps({"rows": rows}).encode())


def _read_probabilities(reply: Any) -> list[list[float]]:
    found: list[list[float]] = reply["probabilities"]
    return found


def _mlflow(workers: int) -> Callable[[Path, Model], list[str]]:
    def command(work: Path, model: Model) -> list[str]:
        saved = model.folder / "mlflow"
        if not saved.exists():
            program = _program(work, "mlflow", "python")
            subprocess.run([program, APPS / "save_mlflow.py", model.folder], check=True)
        words = ["models", "serve", "-m", str(saved), "--env-manager", "local", "-h", "127.0.0.1",
                 "-p", str(PORT), "-w", str(workers)]  # fmt: skip
        return [_program(work, "mlflow", "mlflow"), *words]

    return command


def _ask_mlflow(model: Model, count: int) -> Ask:
    split = {"columns": model.columns, "data": model.lists(count)}
    return Ask("/invocations", json.dumps({"dataframe_split": split}).encode())


def _read_predictions(reply: Any) -> list[list[float]]:
    found: list[list[float]] = reply["predictions"]
    return found


def _bentoml(service: str) -> Callable[[Path, Model], list[str]]:
    def command(work: Path, _model: Model) -> list[str]:
        words = ["serve", f"bento_app:{service}", "--host", "127.0.0.1", "--port", str(PORT)]
        return [_program(work, "bentoml", "bentoml"), *words]

    return command


def _read_list(reply: Any) -> list[list[float]]:
    found: list[list[float]] = reply
    return found


def _mlserver(settings: Mapping[str, Any]) -> Callable[[Path, Model], list[str]]:
    def command(work: Path, model: Model) -> list[str]:
        folder = work / "mlserver"
        folder.mkdir(exist_ok=True)
        ports = {"http_port": PORT, "grpc_port": PORT + 1, "metrics_port": PORT + 2}
        common = {"host": "127.0.0.1", "debug": False, **ports}
        (folder / "settings.json").write_text(json.dumps(common))
        described = {
            "name": model.name,
            "implementation": "mlserver_sklearn.SKLearnModel",
            "parameters": {"uri": str(model.folder / "model.joblib"), "version": "v1"},
            **settings,
        }
        (folder / "model-settings.json").write_text(json.dumps(described))
        return [_program(work, "mlserver", "mlserver"), "start", str(folder)]

    return command


def _ask_v2(model: Model, count: int, output: str) -> Ask:
    body = {**_tensor(model, count), "outputs": [{"name": output}]}
    return Ask(f"/v2/models/{model.name}/infer", json.dumps(body).encode())


def _ask_mlserver(model: Model, count: int) -> Ask:
    return _ask_v2(model, count, "predict_proba")


def _litserve(workers: int, *, batch: bool) -> Callable[[Path, Model], list[str]]:
    def command(work: Path, _model: Model) -> list[str]:
        words = [str(APPS / "lit_app.py"), str(PORT), str(workers), str(int(batch))]
        return [_program(work, "litserve", "python"), *words]

    return command


POWER = {"MLKIT_LOG_DURABILITY": "power"}
OFF = {"MLKIT_LOG_DURABILITY": "off"}
ONE = ("c1",)
SERVERS = (
    Server("mlkit", "mlkit", _mlkit, _ask_mlkit, _read_mlkit),
    Server("mlkit, log power", "mlkit", _mlkit, _ask_mlkit, _read_mlkit, POWER, ("logistic",)),
    Server("mlkit, log off", "mlkit", _mlkit, _ask_mlkit, _read_mlkit, OFF, ("logistic",)),
    Server("hello, 256 threads", "mlkit", _hello(256), _ask_mlkit, None, {}, ("logistic",),
           ("c1", "c16", "c64")),
    Server("hello, 1 thread", "mlkit", _hello(1), _ask_mlkit, None, {}, ("logistic",),
           ("c1", "c16", "c64")),
    Server("fastapi", "fastapi", _fastapi, _ask_rows, _read_probabilities),
    Server("mlflow, 1 worker", "mlflow", _mlflow(1), _ask_mlflow, _read_predictions, {},
           ("logistic",), ONE),
    Server("mlflow", "mlflow", _mlflow(2), _ask_mlflow, _read_predictions),
    Server("bentoml", "bentoml", _bentoml("Single"), _ask_rows, _read_list, {"WORKERS": "2"}),
    Server("bentoml, batched", "bentoml", _bentoml("Batched"), _ask_predict, _read_list, {},
           NUMBERS),
    Server("mlserver", "mlserver", _mlserver({}), _ask_mlserver, _read_v2, {}, NUMBERS),
    Server("mlserver, batched", "mlserver",
           _mlserver({"max_batch_size": 64, "max_batch_time": 0.002}), _ask_mlserver, _read_v2, {},
           NUMBERS),
    Server("litserve", "litserve", _litserve(2, batch=False), _ask_predict, _read_probabilities),
    Server("litserve, batched", "litserve", _litserve(1, batch=True), _ask_predict,
           _read_probabilities, {}, NUMBERS),
)  # fmt: skip
