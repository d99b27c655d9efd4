"""The files that a visitor saves: the rows, columns and order of the table that a link shows.

Where a cell of the table says more than its column's value, that comes as columns of its own: the score's interval and
seeds, and what tells rows of one name apart.
"""

from urllib.parse import parse_qsl

import pandas

from harness.dashboard.choices import Data, resolve
from harness.dashboard.export import to_csv, to_json
from harness.dashboard.selection import show
from harness.dashboard.state import View, from_query
from harness.dashboard.tab_results import shown_columns, sort_rows

# What the table's first cell says: of these where rows differ, and of those where one is not as usual.
APART, USUAL = ("hardware", "protocol"), {"status": "success", "modified": False}
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
    return {"name": f"{name}.{kind}", "type": media_type, "text": write(rows, saved_columns(rows, view))}


def saved_columns(rows: pandas.DataFrame, view: View) -> list[str]:
    """Keys of the file's columns, in the table's order."""
    found: list[str] = []
    for key in shown_columns(view):
        found.append(key)
        if key == "experiment":
            found += [apart for apart in APART if rows[apart].nunique() > 1]
            found += [unusual for unusual, usual in USUAL.items() if (rows[unusual] != usual).any()]
        if key == "score":
            found += ["score_low", "score_high", "seeds"]
    return list(dict.fromkeys(found))
