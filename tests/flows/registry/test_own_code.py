"""A version answers with the code it was trained with, whatever the files are by now."""

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select, text, update

from mlkit.errors import DamagedError, InvalidInputError, Stopped
from mlkit.flows.data import ingest
from mlkit.flows.features import declarations
from mlkit.flows.registry import deploy, models, provenance
from mlkit.flows.training import train
from mlkit.project import Project
from mlkit.store.registry import ModelVersion

ASK = np.array([[9.0, 9.0]])  # 3 * 9 + 9 is 36

CAPPED = """
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge

CAP = 1e9

class Capped(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        self.inner_ = Ridge().fit(X, y)
        return self

    def predict(self, X):
        return self.inner_.predict(X).clip(max=CAP)

def build(schema):
    return Capped()
"""


@pytest.fixture
def line(project: Project) -> Project:
    """A project with the dataset ``line``: y is 3 x + z, and never more than 8."""
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, 120)).clip(-2, 2)
    lines = [f"{a:.3f},{b:.3f},{3 * a + b:.3f}" for a, b in zip(x, z, strict=True)]
    (project.root / "line.csv").write_text("\n".join(["x,z,y", *lines]))
    ingest.add(project, "line", project.root / "line.csv", target="y")
    return project


def write(project: Project, name: str, text: str) -> Path:
    file = project.root / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(textwrap.dedent(text))
    return file


def fit(project: Project, estimator: str = "capped:build", model: str = "m") -> train.Trained:
    return train.train(project, model, "line", estimator=estimator)


def answer(project: Project, number: int, model: str = "m") -> float:
    loaded = deploy.load_version(project, deploy.find_version(project, model, number))
    (value,) = loaded.predictor.predict(ASK).values
    return round(float(value))


def edit(project: Project, name: str, old: str, new: str) -> None:
    file = project.root / name
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def test_versions_of_an_edited_file_answer_side_by_side_each_with_its_own_code(
    line: Project,
) -> None:
    write(line, "capped.py", CAPPED)
    fit(line)
    edit(line, "capped.py", "CAP = 1e9", "CAP = 12")
    fit(line)
    loaded = [
        deploy.load_version(line, deploy.find_version(line, "m", number)) for number in (1, 2, 1)
    ]
    asked = [round(float(one.predictor.predict(ASK).values[0])) for one in loaded]
    assert asked == [36, 12, 36]
    (line.root / "capped.py").unlink()
    assert [answer(line, 1), answer(line, 2)] == [36, 12]


def test_an_edit_since_the_champion_is_named_by_training_and_by_the_comparison(
    line: Project,
) -> None:
    write(line, "capped.py", CAPPED)
    train.train(line, "m", "line", estimator="capped:build", promote=True)
    assert not [text for text in fit(line).warnings if text.startswith("code_changed")]
    edit(line, "capped.py", "CAP = 1e9", "CAP = 12")
    (warning,) = [text for text in fit(line).warnings if text.startswith("code_changed")]
    assert "capped.py: not as v1, the champion" in warning
    differences = [pair.name for pair in models.compare(line, "m", 2, 3).differences]
    assert "file capped.py" in differences


PARTS = {
    "an import": ("parts.py", "import parts", "parts.CAP"),
    "an import inside a function": ("parts.py", "", "__import__('parts').CAP"),
    "importlib": ("parts.py", "import importlib", "importlib.import_module('parts').CAP"),
    "importlib, computed": (
        "parts.py",
        "from importlib import import_module",
        "import_module('par' + 'ts').CAP",
    ),
    "a module of a package": ("kit/parts.py", "from kit.parts import CAP", "CAP"),
    "a package by its full name": ("kit/parts.py", "import kit.parts", "kit.parts.CAP"),
}


@pytest.mark.parametrize(("file", "statement", "value"), PARTS.values(), ids=PARTS)
def test_what_the_file_imports_from_the_project_is_part_of_the_version(
    line: Project, file: str, statement: str, value: str
) -> None:
    write(line, file, "CAP = 1e9")
    text = CAPPED.replace("CAP = 1e9", statement).replace("max=CAP", f"max={value}")
    write(line, "capped.py", text)
    fit(line)
    edit(line, file, "1e9", "12")
    fit(line)
    assert [answer(line, 1), answer(line, 2), answer(line, 1)] == [36, 12, 36]
    code = deploy.find_version(line, "m", 1).code
    assert code is not None
    assert set(code["files"]) == {"capped.py", file}
    assert code["libraries"] == ["scikit-learn"]


def test_a_package_with_relative_and_late_imports_is_kept_whole(line: Project) -> None:
    write(line, "kit/__init__.py", "from .models import build")
    write(line, "kit/settings.py", "CAP = 1e9")
    late = "        from .settings import CAP\n        return self"
    text = CAPPED.replace("CAP = 1e9", "").replace("        return self.", late + ".")
    write(line, "kit/models.py", text)
    assert not [text for text in fit(line, "kit:build").warnings if "code_not_kept" in text]
    edit(line, "kit/settings.py", "1e9", "12")
    fit(line, "kit:build")
    assert [answer(line, 1), answer(line, 2)] == [36, 12]
    shown = models.show(line, "m").versions[0]
    assert set(shown.code["files"]) == {"kit/__init__.py", "kit/models.py", "kit/settings.py"}


def test_a_module_that_is_imported_past_the_statement_is_named_and_its_change_is_found(
    line: Project,
) -> None:
    write(line, "past_parts.py", "CAP = 1e9")
    statement = "import builtins\nCAP = vars(builtins)['__import__']('past_parts').CAP"
    write(line, "capped.py", CAPPED.replace("CAP = 1e9", statement))
    (warning,) = [text for text in fit(line).warnings if "code_not_kept" in text]
    assert "the module 'past_parts'" in warning
    edit(line, "past_parts.py", "1e9", "-990")  # of another length: bytecode may be as new
    del sys.modules["past_parts"]
    with pytest.raises(DamagedError, match=r"not kept with it: past_parts\.py"):
        answer(line, 1)


def test_the_library_itself_is_never_the_users_own(line: Project) -> None:
    write(line, "mlkit/__init__.py", "raise RuntimeError('not mine')")
    write(line, "capped.py", f"import mlkit.errors\n{CAPPED}")
    fit(line)
    code = deploy.find_version(line, "m", 1).code
    assert code is not None
    assert set(code["files"]) == {"capped.py"}


def test_a_folder_of_pythonpath_is_the_users_own_as_well(
    line: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "shared_parts.py").write_text("CAP = 1e9")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.syspath_prepend(folder)
    write(line, "capped.py", CAPPED.replace("CAP = 1e9", "from shared_parts import CAP"))
    fit(line)
    (folder / "shared_parts.py").write_text("CAP = 12")
    fit(line)
    assert [answer(line, 1), answer(line, 2)] == [36, 12]


def test_what_a_module_remembers_of_the_fit_is_not_in_the_version_and_is_refused(
    line: Project,
) -> None:
    text = CAPPED.replace("return self\n", "global CAP; CAP = 2.0; return self\n", 1)
    write(line, "capped.py", text)
    done = fit(line)
    assert not done.verdict.accepted
    assert "after a reload from disk" in done.verdict.reason
    with pytest.raises(DamagedError, match="m v1 does not give its recorded answers any more"):
        answer(line, 1)


def test_classes_of_the_file_reach_the_processes_of_joblib(line: Project) -> None:
    search = "\n\ndef search(schema):\n    from sklearn.model_selection import GridSearchCV\n"
    search += "    return GridSearchCV(Capped(), {}, n_jobs=2, cv=2)\n"
    write(line, "capped.py", CAPPED + search)
    fit(line, "capped:search")
    assert answer(line, 1) == 36


def test_a_version_is_served_by_a_process_that_never_saw_the_file(line: Project) -> None:
    write(line, "capped.py", CAPPED)
    fit(line)
    edit(line, "capped.py", "CAP = 1e9", "CAP = 12")
    program = (
        "import sys; from pathlib import Path; from mlkit.flows.registry import deploy;"
        "from mlkit.project import open_project; p = open_project(Path(sys.argv[1]));"
        "m = deploy.load_version(p, deploy.find_version(p, 'm', 1));"
        "print(round(m.predictor.predict(__import__('numpy').array([[9.0, 9.0]])).values[0]))"
    )
    words = [sys.executable, "-c", program, str(line.root)]
    ran = subprocess.run(words, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "36"


def test_nothing_of_the_code_runs_before_the_signature_was_checked(
    line: Project, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    write(line, "capped.py", f"open({str(canary)!r}, 'a').close()\n{CAPPED}")
    fit(line)
    canary.unlink()
    with line.write() as s:
        s.execute(update(ModelVersion).values(signature="0" * 64))
    with pytest.raises(DamagedError, match="was not signed"):
        answer(line, 1)
    assert not canary.exists()


def test_a_version_from_before_code_was_kept_answers_with_the_file_and_says_so(
    line: Project, caplog: pytest.LogCaptureFixture
) -> None:
    write(line, "old_way.py", CAPPED)
    fit(line, "old_way:build")
    with line.write() as s:
        version = s.get_one(ModelVersion, 1)
        artifact = _without_code(line, version)
        version.artifact_sha256, version.signature = artifact
        version.code = None
    assert answer(line, 1) == 36
    assert "m v1 was trained before code was kept with a version" in caplog.text
    with line.write() as s:
        golden = s.get_one(ModelVersion, 1).golden
        s.execute(update(ModelVersion).values(golden={**golden, "values": [0.0] * 20}))
    with pytest.raises(DamagedError, match="so it answers with the 'old_way:build' that is on"):
        answer(line, 1)


def _without_code(project: Project, version: ModelVersion) -> tuple[str, str]:
    """Store the artifact as 0.1 wrote it: the pickle refers to the module by its plain name."""
    from mlkit.flows.registry import own_code
    from mlkit.steps.predictors import artifacts
    from mlkit.store.disk import blobs

    made = artifacts.loads(project.artifacts.read(version.artifact_sha256), project.root)
    with own_code.importable(project.root):
        plain = __import__("old_way")
    made.estimator.__class__ = plain.Capped
    sha256 = project.artifacts.put(artifacts.dumps(made))
    return sha256, blobs.sign(project.key, "m", version.number, sha256)


def test_libraries_that_differ_are_named_where_golden_rows_do(line: Project) -> None:
    fit(line, "linear")
    version = deploy.find_version(line, "m", 1)
    assert len(version.packages) > 20
    packages = {**version.packages, "numpy": "1.2.3", "gone-from-here": "4.5"}
    golden = {**version.golden, "values": [0.0] * 20}
    with line.write() as s:
        s.execute(update(ModelVersion).values(packages=packages, golden=golden))
    with pytest.raises(DamagedError, match=r"numpy 1\.2\.3 \(now .*gone-from-here 4\.5 \(now none"):
        answer(line, 1)


@pytest.mark.parametrize(
    "golden",
    [{}, {"columns": [], "values": []}, {"columns": 3, "values": 3, "probabilities": None},
     {"columns": [["a"], ["b"]], "values": [1.0], "probabilities": None}],
)  # fmt: skip
def test_edited_golden_rows_are_an_error_that_says_what_to_do(line: Project, golden: Any) -> None:
    fit(line, "linear")
    with line.write() as s:
        s.execute(update(ModelVersion).values(golden=golden))
    with pytest.raises(DamagedError, match=r"golden rows|recorded answers"):
        answer(line, 1)


def test_an_edited_input_schema_is_an_error_that_says_what_to_do(line: Project) -> None:
    fit(line, "linear")
    with line.write() as s:
        s.execute(update(ModelVersion).values(input_schema={"columns": 7}))
    with pytest.raises(DamagedError, match="the input schema of m v1 is not the recorded one"):
        deploy.input_schema(deploy.find_version(line, "m", 1))


def git(project: Project, *words: str) -> None:
    named = ["-c", "user.name=a", "-c", "user.email=a@example.org", *words]
    subprocess.run(["git", "-C", str(project.root), *named], check=True, capture_output=True)


def test_the_commit_tells_of_files_that_are_not_in_it(line: Project) -> None:
    file = write(line, "capped.py", CAPPED)
    git(line, "init")
    git(line, "commit", "--allow-empty", "-m", "empty")
    commit = provenance.code_commit(line.root)
    assert commit is not None
    assert provenance.code_commit(line.root, ["capped.py"]) == f"{commit}+changes"
    git(line, "add", "capped.py")
    git(line, "commit", "-m", "code")
    commit = provenance.code_commit(line.root, ["capped.py"])
    assert commit is not None
    assert "+" not in commit
    git(line, "update-index", "--assume-unchanged", "capped.py")
    file.write_text("CAP = 12")
    assert provenance.code_commit(line.root, ["capped.py"]) == f"{commit}+changes"


def test_a_function_that_is_not_there_is_named(line: Project) -> None:
    write(line, "capped.py", "import gone_for_good")
    with pytest.raises(InvalidInputError, match="cannot import the estimator 'capped:build'"):
        fit(line)


STACK = """
from sklearn.ensemble import StackingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

def stack():
    return StackingRegressor([("a", Ridge()), ("b", Ridge(alpha=9.0))])

def behind():
    return make_pipeline(StandardScaler(), stack())

def scaler():
    return StandardScaler()

def only_scaler():
    return make_pipeline(StandardScaler())

def kind():
    return Ridge
"""


@pytest.mark.parametrize("name", ["stack", "behind"])
def test_an_estimator_that_hides_predict_until_it_is_fitted_is_taken(
    line: Project, name: str
) -> None:
    write(line, "stacked.py", STACK)
    fit(line, f"stacked:{name}")
    assert abs(answer(line, 1) - 36) < 2


@pytest.mark.parametrize("name", ["scaler", "only_scaler", "kind"])
def test_what_cannot_predict_is_refused(line: Project, name: str) -> None:
    write(line, "stacked.py", STACK)
    with pytest.raises(InvalidInputError, match=f"'stacked:{name}' .*(no|without) .*predict"):
        fit(line, f"stacked:{name}")


FORMS = """
from sklearn.linear_model import Ridge

class Look(Ridge):
    def fit(self, X, y, sample_weight=None):
        self.width_ = X.shape[1]
        return super().fit(X, y)

def build(alpha=1.0):
    assert alpha == 1.0
    return Look(alpha=alpha)

def named(schema=None):
    assert schema is not None
    return Look()
"""


@pytest.mark.parametrize(("name", "given"), [("build", False), ("named", True), ("Look", False)])
def test_the_schema_is_given_to_what_asks_for_it(line: Project, name: str, given: bool) -> None:
    write(line, "forms.py", FORMS)
    fit(line, f"forms:{name}")
    params = models.show(line, "m").versions[0]
    assert params.estimator == f"forms:{name}"
    loaded = deploy.load_version(line, deploy.find_version(line, "m", 1))
    assert hasattr(loaded.predictor.estimator, "steps") is not given


def test_an_answer_of_another_shape_is_an_error_that_names_the_estimator(line: Project) -> None:
    bent = CAPPED.replace("clip(max=CAP)", "clip(max=CAP)[:, None].repeat(3, axis=1)")
    write(line, "three.py", bent)
    said = "'three:build': the estimator Capped answers with an array of shape"
    with pytest.raises(InvalidInputError, match=said):
        fit(line, "three:build")


def test_a_module_that_features_import_is_run_anew_with_them(line: Project) -> None:
    write(line, "parts_of_features.py", "AGE = '1d'")
    write(
        line,
        "features.py",
        """
        from mlkit.features import feature_view
        from parts_of_features import AGE

        @feature_view(source="line", entity="x", time="z", ttl=AGE)
        def view(line):
            return line
        """,
    )
    before = declarations.load(line).view("view").ttl
    edit(line, "parts_of_features.py", "1d", "12d")
    assert declarations.load(line).view("view").ttl != before


def test_an_edited_record_of_the_code_is_an_error_and_no_traceback(line: Project) -> None:
    fit(line, "linear")
    with line.read() as s:
        code = s.scalars(select(ModelVersion.code)).one()
    _edit(line, code={"files": 3})
    for use in (lambda: models.compare(line, "m", 1, 1), lambda: answer(line, 1)):
        with pytest.raises(DamagedError, match="row 1 of model_version is not as it was recorded"):
            use()
    _edit(line, code=code, signature="é")
    with pytest.raises(DamagedError, match="was not signed"):
        answer(line, 1)


def _edit(project: Project, **values: object) -> None:
    with project.write() as s:
        s.execute(update(ModelVersion).values(values))


EDITED = [("golden", "[]"), ("golden", "{bad"), ("params", "3"), ("verdict", "null"),
          ("input_schema", '"x"'), ("warnings", "{}"), ("packages", "[]")]  # fmt: skip


@pytest.mark.parametrize(("column", "value"), EDITED)
def test_a_row_that_was_edited_is_an_error_and_no_traceback(
    line: Project, cli: Any, column: str, value: str
) -> None:
    fit(line, "linear")
    with line.write() as s:
        s.execute(text(f"UPDATE model_version SET {column} = :value"), {"value": value})  # noqa: S608
    for words in (["model", "show", "m"], ["model", "promote", "m", "1"], ["lineage", "m"]):
        assert "as it was recorded" in cli(*words, code=1).stderr


QUITS = """
import sys
from sklearn.linear_model import Ridge

class QuitsInFit(Ridge):
    def fit(self, X, y):
        sys.exit(0)

class QuitsInPredict(Ridge):
    def predict(self, X):
        sys.exit(0)

def make():
    sys.exit(0)
"""


@pytest.mark.parametrize("name", ["QuitsInFit", "QuitsInPredict", "make"])
def test_an_estimator_that_ends_the_program_is_an_error(line: Project, name: str) -> None:
    write(line, "quits.py", QUITS)
    with pytest.raises(InvalidInputError, match=r"SystemExit\(0\)"):
        fit(line, f"quits:{name}")


def test_a_module_that_ends_the_program_is_an_error(line: Project) -> None:
    write(line, "script.py", "raise SystemExit(0)")
    with pytest.raises(InvalidInputError, match=r"cannot import .*SystemExit\(0\)"):
        fit(line, "script:make")
    write(line, "features.py", "import sys\nsys.exit(0)")
    with pytest.raises(InvalidInputError, match=r"features.py, line 2: SystemExit\(0\)"):
        declarations.load(line)


def test_a_signal_that_stops_a_job_is_no_error_of_the_estimator(line: Project) -> None:
    write(
        line,
        "stops.py",
        QUITS.replace("sys.exit(0)", "raise Stopped").replace(
            "import sys", "from mlkit.errors import Stopped"
        ),
    )
    with pytest.raises(Stopped):
        fit(line, "stops:make")
