"""The report of the demo: one HTML file with its picture inside, nothing fetched from anywhere."""

from mlkit.demo import picture, report
from mlkit.demo.story import Story
from mlkit.pages import html


def render(story: Story) -> str:
    """Return the whole page."""
    return html.render(
        "year.html",
        story=story,
        lead=report.lead(story),
        picture=picture.draw(story.months),
        headers=report.HEADERS,
        facts=_facts(story),
        model_page=story.model_page.name,
    )


def _facts(story: Story) -> str:
    return (
        f"{report.traffic(story)}; the slowest promotion reached the server after "
        f"{story.slowest_swap_s:.1f} s. {story.versions} versions trained. "
        f"Played in {story.seconds:.0f} s."
    )
