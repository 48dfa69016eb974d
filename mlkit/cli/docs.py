"""``mlkit docs``."""

import sys

import click

from mlkit.cli import output


@click.command()
@click.argument("topic", required=False)
@output.json_option
def docs(topic: str | None, *, as_json: bool) -> None:
    """Read the documentation: the list of pages, or the page TOPIC.

    On a terminal a page is shown in the pager; into a pipe or a file goes its Markdown.
    """
    from mlkit.pages import manual

    if topic is None:
        found = [{"topic": page.topic, "title": page.title} for page in manual.pages()]
        output.emit(found, as_json=as_json, render=_render_list)
        return
    page, text = manual.read(topic)
    shown = {"topic": page.topic, "title": page.title, "text": text}
    output.emit(shown, as_json=as_json, render=lambda _: _render(text))


def _render_list(found: list[dict[str, str]]) -> None:
    output.print_table(("topic", "title"), [(page["topic"], page["title"]) for page in found])
    output.say("read one: mlkit docs TOPIC")


def _render(text: str) -> None:
    if not sys.stdout.isatty():
        output.say_all(text, nl=False)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    with console.pager(styles=True):
        console.print(Markdown(text))
