"""Start the server: granian with one process per worker, until SIGTERM."""

import ctypes
import ipaddress
import multiprocessing
import os
import resource
import socket
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException

from mlkit.errors import InvalidInputError, MlkitError
from mlkit.flows.operations import audit_check, copies
from mlkit.project import Project
from mlkit.server import platforms
from mlkit.server.access import refuse_unprotected
from mlkit.server.import_process import ImportProcess
from mlkit.server.metrics import slots
from mlkit.server.models import preload
from mlkit.settings.table import Server

_GRACE_S = 15  # for requests in progress when SIGTERM comes
_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3  # malloc.h
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {
            "class": "mlkit.printable.Formatter",
            "format": "%(asctime)s %(levelname)s %(message)s",
        }
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "plain",
            "stream": "ext://sys.stderr",
        }
    },
    "loggers": {"_granian": {"level": "ERROR"}, "granian.access": {"level": "WARNING"}},
    "root": {"level": "WARNING", "handlers": ["stderr"]},
}


def serve(
    project: Project,
    *,
    host: str | None = None,
    port: int | None = None,
    workers: int | None = None,
) -> None:
    """Serve ``project`` until SIGTERM or SIGINT; prints one line to stderr once it answers.

    Raises ConflictError if the port is taken, or if ``host`` is reachable from other machines and
    there is no token.
    """
    settings = project.settings.server
    platform = platforms.detect(os.environ)
    fallback = settings.host if platform.port is None else platforms.EVERYWHERE
    address = _resolve(host or fallback)
    refuse_unprotected(project, address)
    audit_check.refuse(project)
    copies.sweep(project)
    from mlkit.server import listener  # only a server needs granian

    wanted = port if port is not None else platform.port or settings.port
    listening = listener.bind(address, wanted, patience_s=settings.idle_s)
    number = int(listening.getsockname()[1])
    busy = f"this project is served on port {number} already"
    count = workers or platform.workers or settings.workers
    with listening, project.lock(f"server-{number}", busy=busy):
        _prepare_environment(project, count)
        project.close()
        preload.load()
        _limit_arenas()
        _allow_many_connections()
        metrics_dir = project.state_dir / "metrics" / str(number)
        slots.clear(metrics_dir)
        os.environ["MLKIT_METRICS"] = str(metrics_dir)
        import_process = ImportProcess(
            project, metrics_dir, lambda: _announced(address, number), listening
        )
        import_process.start()
        try:
            _run(listening, count, settings, import_process.watch)
        finally:
            import_process.stop()


def _run(
    listening: socket.socket, workers: int, settings: Server, begun: Callable[[], None]
) -> None:
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings
    from granian.log import LogLevels

    from mlkit.server.listener import SharedServer

    multiprocessing.set_start_method("fork", force=True)  # nothing is open and no thread runs yet
    server = SharedServer(
        listening,
        target="mlkit.server.wsgi:build",
        factory=True,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=settings.threads,  # started as needed: a slow client delays only itself
        backpressure=settings.connections,
        # HTTP/2 would allow hundreds of bodies over one connection, without a deadline for any.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=int(settings.idle_s * 1e3)),
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=_GRACE_S,
        log_level=LogLevels.error,
        log_dictconfig=_LOGGING,
    )
    server.on_startup(begun)
    server.serve()
    if not server.interrupt_signal:
        raise MlkitError(
            "the workers die as soon as they are started; their errors are above (see: mlkit "
            "doctor)"
        )


def _limit_arenas() -> None:
    """Let glibc's malloc use two arenas instead of one for each of hundreds of threads.

    Blocks of 128 KiB and more are mapped, so the memory of a large body is returned at once. See
    mallopt(3); without glibc this does nothing.
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_ARENA_MAX, 2)
        libc.mallopt(_M_MMAP_THRESHOLD, 1 << 17)


def _allow_many_connections() -> None:
    """Raise the limit of open files to the hard limit: each connection is one."""
    with suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _prepare_environment(project: Project, workers: int) -> None:
    """Set the workers' project and their share of the cores; by default each would use all."""
    os.environ["MLKIT_PROJECT"] = str(project.root)
    threads = max(1, (os.cpu_count() or 1) // workers)
    for variable in _THREAD_VARIABLES:
        os.environ.setdefault(variable, str(threads))


def _resolve(host: str) -> str:
    """Return the IP address of ``host``; raises InvalidInputError."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise InvalidInputError(f"'{host}' is no address of this machine: {error}") from error


def _announced(address: str, port: int) -> bool:
    """Print the address once the server answers; tell whether it was printed."""
    target = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104  # compared, not bound
    try:
        with closing(HTTPConnection(target, port, timeout=5)) as connection:
            connection.request("GET", "/livez")
            connection.getresponse().read()
    except (OSError, HTTPException):
        return False
    shown = f"[{address}]" if ":" in address else address
    print(f"serving on http://{shown}:{port}", file=sys.stderr, flush=True)  # noqa: T201  # a protocol
    return True
