"""The pages of the documentation, as tests read them."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
PLACES = ("tests", "plugins", "plugins/hubspot", "plugins/scim", "plugins/github")
READMES = [ROOT / place / "README.md" for place in PLACES]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *READMES])


def name(page: Path) -> str:
    """Return a page as a test calls it."""
    return page.relative_to(ROOT).as_posix()


def text(page: str) -> str:
    """Return the text of a page."""
    return (ROOT / page).read_text("utf-8")


def fences(markdown: str, language: str) -> list[str]:
    """Return the code blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", markdown, re.MULTILINE | re.DOTALL)


def without_fences(markdown: str) -> str:
    """Return the text around the code blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", markdown, flags=re.MULTILINE | re.DOTALL)


def anchors(markdown: str) -> set[str]:
    """Return what links within a page can point to, as GitHub makes it of the headings."""
    headings = re.findall(r"^#+ (.+)$", without_fences(markdown), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def section(markdown: str, anchor: str) -> str:
    """Return what stands below the heading that an anchor points to, up to the next heading; empty without one."""
    parts = re.split(r"^(?=#+ )", without_fences(markdown), flags=re.MULTILINE)
    return next((part.partition("\n")[2] for part in parts if anchor in anchors(part)), "")


def links(markdown: str) -> Iterator[tuple[str, str]]:
    """Yield file and anchor of each link that stays within the project."""
    for target in re.findall(r"\]\(([^)\s]+)\)", without_fences(markdown)):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            yield path, anchor


def table(markdown: str, heading: str) -> list[list[str]]:
    """Return the rows of the first table below a heading, cell by cell."""
    section = markdown.partition(f"\n{heading}\n")[2]
    rows = re.search(r"^\|.*?\n(?!\|)", section, re.MULTILINE | re.DOTALL)
    assert rows is not None, f"no table below {heading}"
    return [re.split(r"\s*(?<!\\)\|\s*", line.strip("| ")) for line in rows[0].strip().splitlines()[2:]]
