"""The files and folders of a project."""

from dataclasses import dataclass
from pathlib import Path

from mlkit.store.disk.blobs import BlobStore

SETTINGS_FILE = "mlkit.toml"
DATABASE_FILE = "ml.sqlite"
STATE_FOLDER = ".mlkit"


@dataclass(frozen=True)
class Layout:
    """Paths below ``root``, the project folder."""

    root: Path

    @property
    def data(self) -> BlobStore:
        """Dataset versions."""
        return BlobStore(self.root / "data", ".parquet")

    @property
    def artifacts(self) -> BlobStore:
        """Trained models."""
        return BlobStore(self.root / "artifacts", ".joblib")

    @property
    def references(self) -> BlobStore:
        """The drift reference of each model version: summaries of its training data."""
        return BlobStore(self.root / "artifacts", ".npz")

    @property
    def schemas_dir(self) -> Path:
        """The dataset schemas that the user edits."""
        return self.root / "schemas"

    @property
    def quarantine_dir(self) -> Path:
        """Rows that broke the rules of their dataset, with the reasons."""
        return self.root / "quarantine"

    @property
    def log_dir(self) -> Path:
        """Sealed predictions, journals and the output of jobs."""
        return self.root / "log"

    @property
    def journal_dir(self) -> Path:
        """Predictions on their way into the database."""
        return self.log_dir / "journal"

    @property
    def backups_dir(self) -> Path:
        """Backups of the backup job."""
        return self.root / "backups"

    @property
    def state_dir(self) -> Path:
        """The key, locks and other state; private."""
        return self.root / STATE_FOLDER

    @property
    def environment_file(self) -> Path:
        """Variables for every command, job and server of the project; the user writes it."""
        return self.state_dir / "env"
