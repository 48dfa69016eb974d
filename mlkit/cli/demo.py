"""``mlkit demo``."""

import shutil
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlkit.cli import output

if TYPE_CHECKING:
    from rich.progress import Progress

    from mlkit.demo.story import Story, Voice

_LINE = 100  # characters per line, for easy reading


@click.command()
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("mlkit-demo"),
    show_default=True,
    help="The project to make; must be empty or new.",
)
@click.option(
    "--rows",
    type=click.IntRange(min=100),
    default=3000,
    show_default=True,
    help="Flights drawn from each month.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the draw.",
)
@click.option("--full", is_flag=True, help="All flights instead: about 27,000 a month.")
@output.json_option
def demo(folder: Path, *, rows: int, seed: int, full: bool, as_json: bool) -> None:
    """Play one year of real flights through the whole loop.

    A model learns from January of 2013 how long flights from New York are in the air. A real
    server then answers for the flights of every later month and looks the weather up by itself,
    the jobs watch it, alerts lead to retraining, and the gate promotes what is better. At the
    end: the error of the live champion beside that of the frozen first version. Takes about a
    minute and leaves a project to look around in.
    """
    try:
        from mlkit.demo import play  # imports pandas, scikit-learn and pyarrow

        with output.progress() as display:
            voice = _voice(display)
            story = play.play(folder, rows=None if full else rows, seed=seed, voice=voice)
    except KeyboardInterrupt:
        output.say(f"what there is of the project is in {folder}", err=True)
        raise
    output.emit(story, as_json=as_json, render=render)


def render(story: "Story") -> None:
    """Print the results of the year: table, chart, summary, next steps."""
    from mlkit.demo import chart, report

    output.print_table(report.HEADERS, report.rows(story))
    picture = chart.draw(story.months)
    output.say_all(picture if output.shows(picture) else chart.plain(picture))
    output.say_all(f"\n{_wrapped(report.conclusion(story))}\n\n{report.closing(story)}")


def _voice(display: "Progress") -> "Voice":
    from mlkit.demo.story import Voice

    bar, console = display.add_task("", total=1.0), display.console
    piped = not console.is_terminal  # files have no line width
    return Voice(
        say=lambda text: console.print(text, markup=False, highlight=False, soft_wrap=piped),
        now=lambda text, share: display.update(bar, description=text, completed=share),
    )


def _wrapped(text: str) -> str:
    """Wrap lines at words, because a terminal breaks them anywhere."""
    width = min(shutil.get_terminal_size().columns, _LINE)
    return "\n".join(textwrap.fill(line, width) for line in text.splitlines())
