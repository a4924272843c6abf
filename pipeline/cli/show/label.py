"""What is on a labelling page, and how to go on."""

from dataclasses import asdict

from ...labelling.page import LabelPage
from .printing import print_json, stdout_console


def show_label_page(page: LabelPage, *, as_json: bool) -> None:
    earlier = None if page.earlier is None else str(page.earlier)
    if as_json:
        print_json(asdict(page) | {"path": str(page.path), "earlier": earlier})
        return
    console = stdout_console()
    size = page.num_bytes / 1e6
    console.print(f"{page.path}: {page.num_images:,} to label, {size:.1f} MB", soft_wrap=True)
    keys = ", ".join(f"{key} {shown}" for key, shown in page.keys.items())
    console.print(f"keys: {keys}; u takes the last label back, c comments", soft_wrap=True)
    console.print(
        "next: open it in a browser, label, export the csv (of several annotators, name each)\n"
        f"  {page.next_command}",
        soft_wrap=True,
    )
    if earlier is not None:
        console.print(
            f"{earlier} is there already: EARLIER.csv are the labels that it was made of, and "
            "EARLIER-IMAGES is the folder that their paths start from, so that earlier and further "
            "labels are one dataset; --split-as leaves its images on their side of the split. "
            "Options of the first import, such as --label, are needed again. If the page shows "
            "images that are in it already, make a dataset of the new labels alone:\n"
            f"  {page.alone_command}",
            soft_wrap=True,
        )
