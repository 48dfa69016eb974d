"""Fixtures shared by all tests: a real project, a real command line, a small real dataset."""

import gc
import hashlib
import json
import os
import platform
import runpy
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from hypothesis import settings as hypothesis_settings
from sqlalchemy import Engine
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.orm import Session
from sqlalchemy.util import LRUCache

from mlkit.cli.root import cli as root_command
from mlkit.project import Project, create_project, open_project
from mlkit.store import audit, deployments, log_view, schema
from mlkit.store.datasets import Dataset, DatasetVersion
from mlkit.store.datasets import get_version as get_dataset_version
from mlkit.store.deployments import Deployment
from mlkit.store.disk import blobs
from mlkit.store.registry import Model, ModelVersion, find_model, next_number
from mlkit.store.segments import Segment

# A process that finds no bytecode compiles all of mlkit anew, which takes seconds.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Workers fill the processors: threads of OpenMP, which spin while they wait, would only add to it.
# It is read when scikit-learn is first imported, later than this.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes says nothing on a busy machine.
hypothesis_settings.register_profile("suite", deadline=None)
hypothesis_settings.load_profile("suite")

WARM = Path(__file__).with_name("warm.py")
FEATURED = Path(__file__).with_name("featured.py")


def pytest_collection_finish() -> None:
    """Look for garbage among what tests make, not among all that was imported and collected."""
    gc.freeze()


def _same_sql(one: SQLiteDialect, other: object) -> bool:
    return isinstance(other, SQLiteDialect) and _kind(one) == _kind(other)


def _kind(dialect: SQLiteDialect) -> tuple[object, ...]:
    writes, reads = dialect._json_serializer, dialect._json_deserializer
    return type(dialect), writes, reads, dialect.server_version_info


@pytest.fixture(scope="session", autouse=True)
def _compiled_once() -> Iterator[None]:
    """Let all databases share their compiled statements; each test opens some of its own."""
    known = LRUCache(5000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SQLiteDialect, "__eq__", _same_sql)
        patch.setattr(SQLiteDialect, "__hash__", lambda dialect: hash(type(dialect)))
        shared = property(lambda _: known, lambda *_: None)
        patch.setattr(Engine, "_compiled_cache", shared, raising=False)
        yield


class PageReader(HTMLParser):
    """Reads a page, insists that every tag is closed in order, and keeps what matters."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag} has an attribute twice"
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag != "meta":  # nothing is in it; shapes of an SVG end themselves
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert self.open[-1] == "svg"
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


@pytest.fixture(scope="session")
def read_page() -> type[PageReader]:
    """``PageReader``: what a page is made of."""
    return PageReader


class Cli:
    """Run commands of one project in this process, or in a real one."""

    def __init__(self, root: Path, warm: "Warm") -> None:
        self.root = root
        self._warm = warm

    def of(self, root: Path) -> "Cli":
        """Return the command line of another project."""
        return Cli(root, self._warm)

    def __call__(self, *args: object, code: int | None = 0) -> Result:
        """Run ``mlkit ARGS`` and expect the exit code ``code``; None expects any."""
        words = ["--project", str(self.root), *map(str, args)]
        result = CliRunner().invoke(root_command, words, prog_name="mlkit")
        assert code in (None, result.exit_code), f"exit {result.exit_code}: {result.output}"
        return result

    def json(self, *args: object, code: int = 0) -> Any:
        """Run ``mlkit ARGS --json`` and return the document on stdout."""
        return json.loads(self(*args, "--json", code=code).stdout)

    def process(self, *args: object, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run ``mlkit ARGS`` as a process of its own."""
        words = [self._warm.program(), "--project", str(self.root), *map(str, args)]
        return subprocess.run(words, capture_output=True, text=True, check=False, **options)


@pytest.fixture(scope="session")
def empty_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a new project: copy, not use. To make one takes a fifth of a second."""
    root = tmp_path_factory.mktemp("empty")
    (root / "mlkit.toml").touch()
    create_project(root, environment={}).close()
    return root


@pytest.fixture
def project(empty_root: Path, tmp_path: Path) -> Iterator[Project]:
    """A new, empty project."""
    with open_copy(empty_root, tmp_path / "project") as made:
        yield made


@pytest.fixture
def cli(project: Project, warm: "Warm") -> Cli:
    """The command line of ``project``."""
    return Cli(project.root, warm)


def make_churn(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """Return a small table of mixed columns whose target ``churned`` depends on them."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, rows)
    plan = rng.choice(["free", "basic", "pro"], rows, p=[0.5, 0.3, 0.2])
    spend = np.round(rng.gamma(2.0, 20.0, rows), 2)
    active = rng.random(rows) < 0.7
    score = 0.05 * (45 - age) + 1.2 * (plan == "free") - 0.02 * spend - 1.0 * active
    churned = np.where(rng.random(rows) < 1 / (1 + np.exp(-score)), "yes", "no")
    since = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(np.arange(rows), unit="h")
    frame = pd.DataFrame(
        {
            "since": since.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "age": age,
            "plan": plan,
            "spend": spend,
            "active": active,
            "churned": churned,
        }
    )
    frame.loc[frame.index % 17 == 3, "spend"] = np.nan
    return frame


@pytest.fixture(scope="session")
def churn() -> Callable[..., pd.DataFrame]:
    """``make_churn``, for tests that want other rows or seeds."""
    return make_churn


@pytest.fixture
def churn_csv(tmp_path: Path) -> Path:
    """400 rows of ``make_churn`` as a CSV file."""
    file = tmp_path / "churn.csv"
    make_churn().to_csv(file, index=False)
    return file


@pytest.fixture
def furnished(project: Project) -> Project:
    """A project with a champion, its files and a sealed segment, made without any training."""
    now = project.now()
    model_bytes, golden = _constant()
    data, artifact = project.data.put(b"rows"), project.artifacts.put(model_bytes)
    reference = project.references.put(b"reference")
    path = "log/churn/2026-01-01/1.parquet"
    (project.root / path).parent.mkdir(parents=True)
    (project.root / path).write_bytes(b"segment")
    with project.write() as s:
        dataset = Dataset(name="churn", target="churned", created_at=now)
        rows = DatasetVersion(
            dataset=dataset, number=1, sha256=data, rows=4, schema_yaml="",
            profile={"columns": []},
            source="churn.csv", parents=[], warnings=[], created_at=now,
        )  # fmt: skip
        model = Model(name="churn", task="classification", target="churned", created_at=now)
        version = ModelVersion(
            model=model, number=1, artifact_sha256=artifact,
            signature=blobs.sign(project.key, "churn", 1, artifact), reference_sha256=reference,
            input_schema={}, estimator="logistic", recipe={}, params={}, metrics={"log_loss": 0.5},
            intervals={}, holdout_rows=1, warnings=[], golden=golden, verdict={"accepted": True},
            dataset_version=rows, python=platform.python_version(), packages={}, seed=0,
            created_by="test", created_at=now,
        )  # fmt: skip
        s.add(version)
        s.flush()
        champion = Deployment(
            model_id=model.id, model_version_id=version.id, role="champion", started_at=now,
            action="promote", actor="test", reason="first", evidence={},
        )  # fmt: skip
        deployments.start(s, champion)
        s.add(
            Segment(
                model_id=model.id,
                day="2026-01-01",
                path=path,
                sha256=hashlib.sha256(b"segment").hexdigest(),
                rows=1,
                min_seq=1,
                max_seq=1,
                min_time=now,
                max_time=now,
                created_at=now,
            )
        )
        audit.record(s, now, actor="test", action="promote", subject="churn@1", details={})
    return project


def _constant() -> tuple[bytes, dict[str, Any]]:
    """Return the artifact of a model that always answers the same, and its golden rows."""
    from sklearn.dummy import DummyClassifier  # slow to import, and not every test needs it

    from mlkit.steps.inputs.columns import Column, InputSchema
    from mlkit.steps.predictors import artifacts, predictor

    column = Column(name="age", kind="integer", nullable=False)
    schema = InputSchema(
        columns=(column,), target="churned", task="classification", classes=(False, True)
    )
    made = predictor.Predictor(schema, DummyClassifier().fit(np.zeros((4, 1)), [0, 0, 0, 1]))
    return artifacts.dumps(made), artifacts.golden_rows(made, [[1, 2]])


def register_model(
    project: Project, name: str = "churn", *, seed: int = 0, promote: bool = True, rows: int = 300
) -> ModelVersion:
    """Register a small real version trained on ``make_churn(seed=seed)``, past the ladder and gate.

    The model named "spend" predicts spend by regression, any other whether a customer churned.
    """
    import pyarrow as pa
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    from mlkit.steps.inputs import encode, schema_inference
    from mlkit.steps.predictors import artifacts, predictor

    task, target = ("regression", "spend") if name == "spend" else ("classification", "churned")
    table = pa.Table.from_pandas(make_churn(rows, seed).dropna(), preserve_index=False)
    since = table.column("since").cast(pa.timestamp("us", "UTC"))
    table = table.set_column(0, "since", since)
    schema = schema_inference.infer_schema(table, target=target, task=task)
    columns = encode.columns_of_table(schema, table)
    matrix = encode.matrix(schema, columns)
    actual = table.column(target).to_pylist()
    if task == "regression":
        estimator = HistGradientBoostingRegressor(max_iter=5, random_state=seed)
        estimator.fit(matrix, actual)
    else:
        estimator = HistGradientBoostingClassifier(max_iter=5, random_state=seed)
        estimator.fit(matrix, [schema.classes.index(label) for label in actual])
    made = predictor.build(schema, estimator, matrix[:50])
    artifact = project.artifacts.put(artifacts.dumps(made))
    golden = artifacts.golden_rows(made, [values[:5] for values in columns])
    now = project.now()
    with project.write() as s:
        model = find_model(s, name)
        if model is None:
            dataset = Dataset(name=name, target=target, time_column="since", created_at=now)
            model = Model(name=name, task=task, target=target, created_at=now)
            s.add_all([dataset, model])
            s.flush()
            s.add(
                DatasetVersion(
                    dataset=dataset,
                    number=1,
                    sha256=artifact,
                    rows=rows,
                    schema_yaml="",
                    profile={"columns": []},
                    source="churn.csv",
                    parents=[],
                    warnings=[],
                    created_at=now,
                )
            )
            s.flush()
        number = next_number(s, model)
        version = ModelVersion(
            model=model, number=number, artifact_sha256=artifact,
            signature=blobs.sign(project.key, name, number, artifact), reference_sha256=artifact,
            input_schema=msgspec.to_builtins(schema), estimator="boosting", recipe={}, params={},
            metrics={}, intervals={}, holdout_rows=1, warnings=[], golden=golden,
            verdict={"accepted": True, "reason": "test"},
            dataset_version=get_dataset_version(s, name), python=platform.python_version(),
            packages={}, seed=seed, created_by="test", created_at=now,
        )  # fmt: skip
        s.add(version)
        s.flush()
        if promote:
            deployments.start(s, Deployment(
                model_id=model.id, model_version_id=version.id, role="champion", started_at=now,
                action="promote", actor="test", reason="test", evidence={},
            ))  # fmt: skip
        log_view.refresh(s, model)
    return version


@pytest.fixture(scope="session")
def register() -> Callable[..., ModelVersion]:
    """``register_model``: a version that can be served, in a tenth of a second."""
    return register_model


def train_project(root: Path, *, rows: int = 400, by: str | None = "since") -> Path:
    """Make a project with the dataset ``churn``, whose time column is ``by``, and a linear v1."""
    from mlkit.flows.data import ingest
    from mlkit.flows.training import train  # slow to import, and not every test needs them

    (root / "mlkit.toml").touch()
    make_churn(rows).to_csv(root / "churn.csv", index=False)
    made = create_project(root, environment={})
    ingest.add(made, "churn", root / "churn.csv", target="churned", time=by)
    train.train(made, "churn", "churn", estimator="linear", promote=True, reason="first")
    made.close()
    return root


@contextmanager
def open_copy(root: Path, to: Path) -> Iterator[Project]:
    """Open a copy of a project, so that the next test finds it as it was."""
    made = open_project(Path(shutil.copytree(root, to)), environment={})
    yield made
    made.close()


@pytest.fixture(scope="session")
def training() -> Callable[..., Path]:
    """``train_project``: a model that has learned from as many rows as are wanted."""
    return train_project


@pytest.fixture(scope="session")
def copied() -> Callable[[Path, Path], AbstractContextManager[Project]]:
    """``open_copy``."""
    return open_copy


@pytest.fixture(scope="session")
def trained_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with the dataset ``churn`` and v1 of the model ``churn``: copy, not use."""
    return train_project(tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="session")
def featured_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder whose champion has features from views, see ``featured``: copy, not use."""
    made: Path = runpy.run_path(str(FEATURED))["make"](tmp_path_factory.mktemp("featured"))
    return made


@pytest.fixture
def featured(featured_root: Path, tmp_path: Path) -> Iterator[Any]:
    """A copy of it as ``featured.Featured``: the project, its clock and its server."""
    root = shutil.copytree(featured_root, tmp_path / "featured")
    made = runpy.run_path(str(FEATURED))["Featured"](root)
    yield made
    made.project.close()


@pytest.fixture
def trained(trained_root: Path, tmp_path: Path) -> Iterator[Project]:
    """A project whose model ``churn`` has the champion v1, a linear classifier."""
    with open_copy(trained_root, tmp_path / "trained") as made:
        yield made


def to_revision(s: Session, revision: str) -> None:
    """Bring a database to the schema of a release."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    folder = Path(schema.__file__).with_name("migrations")
    config.set_main_option("script_location", str(folder))
    config.attributes["connection"] = s.connection()
    command.upgrade(config, revision)


@pytest.fixture(scope="session")
def migrate() -> Callable[[Session, str], None]:
    """``to_revision``: what an older release would have left."""
    return to_revision


@pytest.fixture
def trained_cli(trained: Project, warm: "Warm") -> Cli:
    """The command line of ``trained``."""
    return Cli(trained.root, warm)


def answer_rows(
    project: Project,
    frame: pd.DataFrame,
    *,
    age: timedelta = timedelta(hours=12),
    known: float = 1.0,
    model: str = "churn",
    step_s: float = 10,
) -> None:
    """Log the champion's answers to ``frame``, one by one; tell the truth about a share of them."""
    from mlkit.flows.log import actuals
    from mlkit.flows.registry import deploy
    from mlkit.steps.inputs import encode
    from mlkit.store import predictions
    from mlkit.store.base import new_ids
    from mlkit.store.log_columns import Entry

    loaded = deploy.load_version(project, deploy.find_version(project, model))
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    columns = encode.columns_of_rows(loaded.schema, rows)
    labels, probabilities = loaded.predictor.predict(encode.matrix(loaded.schema, columns))
    assert probabilities is not None
    start = project.now() - age
    entries = []
    for place, features in enumerate(zip(*columns, strict=True)):
        at = start + timedelta(seconds=step_s * place)
        own_id, identifier = new_ids(at, 2)
        entries.append(
            Entry(
                request_id=own_id, model_id=loaded.model_id, version_id=loaded.version_id,
                version=loaded.version, role="champion", latency_us=100,
                served_us=int(at.timestamp() * 1e6), ids=[identifier],
                entities=[None], features=[features], values=[labels[place]],
                probabilities=[probabilities[place].tolist()],
            )
        )  # fmt: skip
    with project.write() as s:
        predictions.add(s, entries)
    truths = zip(entries, frame[loaded.schema.target].tolist(), strict=True)
    items = [actuals.ActualItem(entry.ids[0], truth) for entry, truth in truths]
    actuals.add(project, items[: round(known * len(items))])


def look_back(project: Project, window: str) -> Project:
    """Return the project with another ``performance.window``."""
    chosen = msgspec.structs.replace(project.settings.performance, window=window)
    settings = msgspec.structs.replace(project.settings, performance=chosen)
    return Project(project.root, settings, project.database, project.clock_file)


@pytest.fixture(scope="session")
def within() -> Callable[[Project, str], Project]:
    """``look_back``: standing performance checks look at that window."""
    return look_back


@pytest.fixture(scope="session")
def answer() -> Callable[..., None]:
    """``answer_rows``: predictions on record, and their actuals, without a server."""
    return answer_rows


class Warm:
    """A program ``mlkit`` that has its imports behind it; begins when it is first wanted."""

    def __init__(self, folder: Path, *before: str) -> None:
        """``before`` are the words of a command that runs the one after it."""
        self._folder = folder
        self._before = before
        self._known = SimpleNamespace(**runpy.run_path(str(WARM)))
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it takes orders."""
        address = self._folder / "socket"
        if self._server is None:
            alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
            command = [*self._before, sys.executable, WARM, address]
            self._server = subprocess.Popen(command, env={**os.environ, **alone})
        while not address.exists():
            assert self._server.poll() is None
            time.sleep(0.02)
        return str(address)

    def start(self, *words: str, **options: Any) -> Any:
        """Start ``mlkit WORDS`` as a process, like a ``Popen`` whose stderr is read here."""
        return self._known.piped(self.address, ["mlkit", *words], **options)

    def program(self, folder: Path | None = None, name: str = "mlkit") -> str:
        """Return a program, in ``folder``, that takes the words of ``mlkit`` or of ``python``."""
        file = (folder or self._folder) / name
        if not file.exists():
            file.write_text(self._known.program(self.address))
            file.chmod(0o755)
        return str(file)

    def stop(self) -> None:
        """End it, if it has begun."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    """``mlkit`` without the seconds that imports take; a process for each command all the same."""
    made = Warm(tmp_path_factory.mktemp("warm"))
    yield made
    made.stop()


@pytest.fixture
def warm_loading(warm: Warm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the doctor load models in a process that has its imports behind it."""
    python = SimpleNamespace(executable=warm.program(name="python"))
    monkeypatch.setattr("mlkit.flows.doctor.loadable.sys", python)
