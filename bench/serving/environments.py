"""One environment for each server, all with the same scikit-learn and numpy."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PINNED = ["scikit-learn==1.9.1", "numpy==2.4.6", "pandas==3.1.1", "joblib"]
PACKAGES = {
    "mlkit": [str(ROOT) + "[demo]"],
    "fastapi": ["fastapi", "uvicorn[standard]"],
    "mlflow": ["mlflow"],
    "bentoml": ["bentoml"],
    "mlserver": ["mlserver", "mlserver-sklearn", "uvloop<0.22"],  # does not start with newer ones
    "litserve": ["litserve"],
}


def make(work: Path, names: set[str]) -> None:
    """Make the environments that are not there yet; mlkit's is made anew."""
    for name in sorted(names | {"mlkit"}):
        folder = work / "environments" / name
        done = folder / "complete"
        if name == "mlkit" and done.exists():
            _install(folder, ["--no-deps", "--force-reinstall", *PACKAGES[name]])
            continue
        if done.exists():
            continue
        print(f"making {folder}", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pinned = [pin for pin in PINNED if not (name == "mlserver" and pin.startswith("pandas"))]
        _install(folder, [*pinned, *PACKAGES[name]])
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
