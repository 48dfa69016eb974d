"""Save a model as MLflow wants it; run in its environment."""

import sys
from pathlib import Path
from typing import Any

import joblib
import mlflow
import mlflow.pyfunc
import mlflow.sklearn

folder = Path(sys.argv[1])
model = joblib.load(folder / "model.joblib")


class Proba(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return model.predict_proba(model_input)


if type(model).__name__ == "Encoded":
    code = [str(Path(__file__).with_name("frames.py"))]
    mlflow.pyfunc.save_model(folder / "mlflow", python_model=Proba(), code_paths=code)
else:
    mlflow.sklearn.save_model(model, folder / "mlflow", pyfunc_predict_fn="predict_proba",
                              serialization_format="cloudpickle")  # fmt: skip
