"""What granian loads in each worker process."""

import multiprocessing
import os
import threading

from mlkit.project import open_project
from mlkit.server.app import SERVICE, create_app
from mlkit.server.front import Front
from mlkit.server.service import Service


def build() -> Front:
    """Open the project that ``MLKIT_PROJECT`` names and return its running application."""
    os.umask(0o077)
    threading.Thread(target=_end_with_parent, name="mlkit-parent", daemon=True).start()
    app = create_app(open_project())
    service: Service = app.extensions[SERVICE]
    service.start()
    return Front(service, app)


def _end_with_parent() -> None:
    """Never outlive the main process, however it dies: its port must be free for the next.

    What was answered is in the journal, so nothing is lost.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
