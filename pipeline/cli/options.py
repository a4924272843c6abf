"""Arguments of the command line that several commands read the same way."""

from ...data.errors import BlpoError


def parse_pairs(option: str, values: list[str] | None) -> dict[str, str]:
    """ "key=value" arguments as a mapping."""
    split = [value.partition("=") for value in values or []]
    wrong = next((key for key, separator, _ in split if not separator or not key), None)
    if wrong is not None:
        raise BlpoError(f"{option} {wrong}: expected two names with = between them")
    return {key: value for key, _, value in split}
