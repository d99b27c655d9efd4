"""The files that a visitor saves: the rows, columns and order of the table that a link shows."""

from urllib.parse import parse_qsl

from harness.dashboard.choices import Data, resolve
from harness.dashboard.export import to_csv, to_json
from harness.dashboard.selection import show
from harness.dashboard.state import from_query
from harness.dashboard.tab_results import shown_columns, sort_rows

_KINDS = {"csv": (to_csv, "text/csv"), "json": (to_json, "application/json")}


def saved_file(data: Data, query: str, kind: str) -> dict[str, str]:
    """Name, media type and text of the file.

    Args:
        data: all results.
        query: the link's query string.
        kind: "csv" or "json".
    """
    write, media_type = _KINDS[kind]
    view = resolve(from_query(parse_qsl(query)), data)
    rows = sort_rows(show(data, view).rows, view)
    name = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in view.task)
    return {"name": f"{name}.{kind}", "type": media_type, "text": write(rows, shown_columns(view))}
