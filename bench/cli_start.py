"""Time `mlkit --help` against a bare click program: the ratio is to stay under 2.

Usage: python bench/cli_start.py [RUNS]. The two take turns, so that a busy moment hits both.
"""

import statistics
import subprocess
import sys
import time

BARE = """
import click

@click.group()
def cli(): "A bare program."

@cli.command()
def hello(): "Say hello."

cli()
"""
PROGRAMS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "bare click --help": [sys.executable, "-c", BARE, "--help"],
    "mlkit --help": [sys.executable, "-m", "mlkit", "--help"],
    "mlkit --version": [sys.executable, "-m", "mlkit", "--version"],
    "mlkit train --help": [sys.executable, "-m", "mlkit", "train", "--help"],
}


def run(words: list[str]) -> float:
    """Return the milliseconds that a program takes from start to end."""
    begun = time.perf_counter()
    subprocess.run(words, stdout=subprocess.DEVNULL, check=True)
    return 1000 * (time.perf_counter() - begun)


def main(runs: int) -> None:
    """Print a line per program: median and fastest time, and the median over bare click's."""
    for words in PROGRAMS.values():
        run(words)  # byte code and page cache
    taken: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(runs):
        for name, words in PROGRAMS.items():
            taken[name].append(run(words))
    bare = statistics.median(taken["bare click --help"])
    print(f"{'program':20} {'median ms':>10} {'fastest ms':>11} {'x bare':>7}")
    for name, times in taken.items():
        median = statistics.median(times)
        print(f"{name:20} {median:10.0f} {min(times):11.0f} {median / bare:7.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
