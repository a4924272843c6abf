"""What `blpo docs` prints."""

from importlib.resources import files
from importlib.resources.abc import Traversable

from ....data.errors import BlpoError
from ....data.near_words import did_you_mean
from .printing import print_json, print_line


def pages() -> dict[str, Traversable]:
    """The installed pages by name, as Markdown."""
    found = files("blpo.docs").iterdir()
    return {
        page.name.removesuffix(".md"): page
        for page in sorted(found, key=lambda page: page.name)
        if page.name.endswith(".md")
    }


def show_pages(*, as_json: bool) -> None:
    """Name and title of every page."""
    titles = {name: _title(page.read_text("utf-8")) for name, page in pages().items()}
    if as_json:
        print_json([{"name": name, "title": title} for name, title in titles.items()])
        return
    width = max(map(len, titles))
    for name, title in titles.items():
        print_line(f"{name:{width}}  {title}")
    print_line("to print one: blpo docs PAGE (the notebook is in the repository only)")


def show_page(name: str, *, as_json: bool) -> None:
    """Raises BlpoError for a page that is not there, with all that are."""
    known = pages()
    found = known.get(name.removeprefix("docs/").removesuffix(".md"))
    if found is None:
        meant = did_you_mean(name, known, str)
        raise BlpoError(f"docs: {name}: no such page{meant}; there are {', '.join(known)}")
    text = found.read_text("utf-8")
    if as_json:
        print_json({"name": found.name.removesuffix(".md"), "text": text})
        return
    print_line(text.removesuffix("\n"))


def _title(text: str) -> str:
    return text.partition("\n")[0].removeprefix("# ")
