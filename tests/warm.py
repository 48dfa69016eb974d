"""A warm ``mlkit`` for tests that run many commands: each is a process, forked after the imports.

A command costs what it does, not the seconds of importing pandas and scikit-learn. As ``python``
with -m or -c it runs modules of the package and programs. Usage: python warm.py SOCKET.
"""

import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TextIO

USER = "WARM_USER"  # in the environment of a command: its user, and the group of that
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
NOT_IMPORTED = ("mlkit.store.migrations", "mlkit.skeleton")


class Command:
    """A process of the warm program, to be used like a ``Popen``; it has a session of its own.

    It is killed, and all that it started, when whoever ordered it ends first.
    """

    def __init__(
        self,
        address: str,
        words: Sequence[str],
        *,
        folder: str | None = None,
        environment: Mapping[str, str] = os.environ,
        handles: Sequence[int] = (0, 1, 2),
    ) -> None:
        self.returncode: int | None = None
        self.stderr: TextIO | None = None  # where it is a pipe
        self._link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._link.connect(address)
        order = json.dumps([words, str(folder or Path.cwd()), dict(environment)]).encode()
        socket.send_fds(self._link, [order], handles)
        self.pid = int(self._link.recv(16))

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            return self.wait(timeout=0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code, that of a signal being negative; raises TimeoutExpired."""
        if self.returncode is None:
            self._link.settimeout(timeout)
            try:
                self.returncode = int(self._link.recv(16))
            except (BlockingIOError, TimeoutError):
                raise subprocess.TimeoutExpired("mlkit", timeout or 0) from None
            self._link.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[None, str]:
        """Return what it says on stderr until it ends; raises TimeoutExpired."""
        assert self.stderr is not None
        with self.stderr as stream:
            said: list[str] = []
            reader = threading.Thread(target=lambda: said.extend(stream), daemon=True)
            reader.start()
            reader.join(timeout)
            self.wait(timeout)
            reader.join()
        return None, "".join(said)

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


def piped(address: str, words: Sequence[str], **options: Any) -> Command:
    """Return a command whose stderr is read here."""
    reader, writer = os.pipe()
    command = Command(address, words, handles=(0, 1, writer), **options)
    os.close(writer)
    command.stderr = os.fdopen(reader)
    return command


def program(address: str) -> str:
    """Return the text of a program that has its words run by the server at ``address``."""
    folder = str(Path(__file__).resolve().parent)
    return (
        f"#!{sys.executable} -SE\nimport sys\nsys.path.insert(0, {folder!r})\n"
        f"import warm\nwarm.pass_on({str(address)!r})\n"
    )


def pass_on(address: str) -> None:
    """Run the words of this process as a command; end as it does, and pass signals on to it."""
    command = Command(address, sys.argv)
    for number in FORWARDED:
        signal.signal(number, lambda number, _: os.kill(command.pid, number))
    code = command.wait()
    if code < 0:
        with suppress(OSError):  # SIGKILL has no other action
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def serve(address: str) -> None:
    """Run orders, all at once, until killed or left alone."""
    parent = os.getppid()
    _import_all()
    door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    door.bind(f"{address}~")
    door.listen(64)
    Path(f"{address}~").rename(address)  # whoever finds it finds it listening
    waiting = selectors.DefaultSelector()
    waiting.register(door, selectors.EVENT_READ)
    while os.getppid() == parent:
        for key, _ in waiting.select(timeout=5):
            if key.fileobj is door:
                with suppress(OSError):  # gone already
                    _begin(waiting, door.accept()[0])
            elif isinstance(key.fileobj, socket.socket):  # whoever asked has gone
                if key.fileobj.fileno() < 0:  # and so has the command
                    continue
                waiting.unregister(key.fileobj)
                for kill in (os.killpg, os.kill):  # it may not lead its group yet
                    with suppress(ProcessLookupError):
                        kill(key.data, signal.SIGKILL)
            else:
                _tell(waiting, key)


def _begin(waiting: Any, link: socket.socket) -> None:
    """Start what is ordered, and watch both the command and whoever asked for it."""
    child = _start(link)
    waiting.register(link, selectors.EVENT_READ, child)
    waiting.register(os.pidfd_open(child), selectors.EVENT_READ, (child, link))
    link.send(str(child).encode())


def _tell(waiting: Any, key: Any) -> None:
    """Tell whoever asked how the command has ended."""
    child, link = key.data
    waiting.unregister(key.fd)
    os.close(key.fd)
    with suppress(KeyError):
        waiting.unregister(link)
    _, status = os.waitpid(child, 0)
    with suppress(OSError):  # gone, too
        link.send(str(os.waitstatus_to_exitcode(status)).encode())
    link.close()


def _import_all() -> None:
    """Import what any command may want, without a thread, and leave it all to no collector."""
    import gc
    import pkgutil

    import sklearn.ensemble
    import sklearn.linear_model  # noqa: F401
    from sqlalchemy.orm import configure_mappers

    import mlkit

    for module in pkgutil.walk_packages(mlkit.__path__, "mlkit."):
        if not module.name.startswith(NOT_IMPORTED) and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    configure_mappers()
    gc.collect()
    gc.freeze()


def _start(link: socket.socket) -> int:
    order, handles, _, _ = socket.recv_fds(link, 1 << 20, 3)
    child = os.fork()
    if child == 0:
        _run(*json.loads(order), handles)
    for handle in handles:
        os.close(handle)
    return child


def _run(words: list[str], folder: str, environment: dict[str, str], handles: list[int]) -> None:
    from mlkit.__main__ import main

    code = 1
    try:
        os.setsid()
        for number, handle in enumerate(handles):
            os.dup2(handle, number)
        os.closerange(3, 1024)
        os.chdir(folder)
        if user := environment.pop(USER, None):
            _become(*map(int, user.split()))
        os.environ.clear()
        os.environ.update(environment)
        sys.path[0] = str(Path(words[0]).parent)
        if words[1:2] == ["-m"]:
            sys.path[0] = folder
            program, words = words[2], words[2:]
            if program != "mlkit":
                main = partial(importlib.import_module(program).main, words[1:])
        elif words[1:2] == ["-c"]:
            main = partial(exec, words[2], {"__name__": "__main__"})
            sys.path[0], words = "", ["-c", *words[3:]]
        sys.argv = words
        main()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _become(user: int, group: int) -> None:
    """Go on as a user, whose own group has the same number, and a member of another group."""
    os.setgroups([group])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


if __name__ == "__main__":
    serve(sys.argv[1])
