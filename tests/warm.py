"""A warm ``mlkit`` for tests that run many commands: each is a process, forked after the imports.

As ``python`` it runs modules of the package in the same way.

Usage: python warm.py SOCKET. A command costs what it does, not the second or two of importing
pandas and scikit-learn. Commands that start processes of their own take the real program.
"""

import importlib
import json
import os
import socket
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

COLD = ("serve", "daemon", "run")

CLIENT = """\
#!{python} -SE
import json, os, socket, sys
if set(sys.argv) & set({cold}):
    os.execv({program!r}, [{program!r}, *sys.argv[1:]])
link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
link.connect({address!r})
order = json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(link, [order], [0, 1, 2])
sys.exit(int(link.recv(16)))
"""


def client(address: str, program: str) -> str:
    """Return a program that has its words run by the server at ``address``."""
    return CLIENT.format(python=sys.executable, cold=COLD, program=program, address=address)


def serve(address: str) -> None:
    """Run orders, one after another, until killed."""
    import sklearn.ensemble
    import sklearn.linear_model  # noqa: F401

    import mlkit.flows.monitoring.monitor
    import mlkit.flows.training.retrain  # noqa: F401

    door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    door.bind(address)
    door.listen()
    while True:
        link, _ = door.accept()
        order, handles, _, _ = socket.recv_fds(link, 1 << 20, 3)
        child = os.fork()
        if child == 0:
            _run(*json.loads(order), handles)
        for handle in handles:
            os.close(handle)
        _, status = os.waitpid(child, 0)
        with suppress(OSError):  # whoever asked had seen enough
            link.send(str(os.waitstatus_to_exitcode(status) % 256).encode())
        link.close()


def _run(words: list[str], folder: str, environment: dict[str, str], handles: list[int]) -> None:
    from mlkit.__main__ import main

    code = 1
    try:
        if Path(words[0]).name == "python" and words[1] == "-m":
            main = partial(importlib.import_module(words[2]).main, words[3:])
        for number, handle in enumerate(handles):
            os.dup2(handle, number)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = words
        main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
