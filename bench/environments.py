"""One environment for each program that is measured; the servers' with the same scikit-learn."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SAME = ["scikit-learn==1.9.1", "numpy==2.4.6", "joblib"]
ALL_SAME = [*SAME, "pandas==3.1.1"]
PACKAGES = {
    "mlkit": [*ALL_SAME, str(ROOT) + "[demo]"],
    "fastapi": [*ALL_SAME, "fastapi", "uvicorn[standard]"],
    "mlflow": [*ALL_SAME, "mlflow"],
    "bentoml": [*ALL_SAME, "bentoml"],
    "mlserver": [*SAME, "mlserver", "mlserver-sklearn", "uvloop<0.22"],  # newer: does not start
    "litserve": [*ALL_SAME, "litserve"],
    "evidently": ["evidently", "pandas<3", "pyarrow"],  # does not import with a newer pandas
    "nannyml": [
        "nannyml",
        "statsmodels",
        "pyarrow",
    ],  # imports statsmodels, but does not require it
    "nannyml-dle": [
        "nannyml",
        "statsmodels",
        "pyarrow",
        "scikit-learn<1.8",  # its LightGBM does not fit with a newer one
    ],
    "alibi": ["alibi-detect", "pyarrow<20"],  # holds numpy below 2
    "whylogs": ["whylogs[viz]", "pandas<3", "pyarrow<20", "numpy<2"],
    "river": ["river"],
    "feast": ["feast"],
}


def make(work: Path, names: set[str]) -> None:
    """Make the environments that are not there yet; mlkit's is made anew."""
    add(work, names | {"mlkit"})
    _install(
        work / "environments" / "mlkit", ["--no-deps", "--force-reinstall", PACKAGES["mlkit"][-1]]
    )


def add(work: Path, names: set[str]) -> None:
    """Make the environments that are not there yet."""
    for name in sorted(names):
        folder = work / "environments" / name
        done = folder / "complete"
        if done.exists():
            continue
        print(f"making {folder}", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        _install(folder, PACKAGES[name])
        done.touch()


def python(work: Path, name: str) -> Path:
    """Return the interpreter of an environment."""
    return work / "environments" / name / "bin" / "python"


def sizes(work: Path) -> dict[str, int]:
    """Return the megabytes on disk of each environment that exists."""
    found = {}
    for folder in sorted((work / "environments").iterdir()):
        total = sum(file.lstat().st_size for file in folder.rglob("*") if not file.is_dir())
        found[folder.name] = round(total / 1e6)
    return found


def _install(folder: Path, words: list[str]) -> None:
    program = folder / "bin" / "python"
    subprocess.run([program, "-m", "pip", "install", "--quiet", *words], check=True)
