"""The text of an expression as Python's syntax tree, within bounds of length, depth and size."""

import ast

LONGEST = 1000  # characters
DEEPEST = 40  # levels of nesting
MOST_NODES = 500


class ExpressionError(ValueError):
    """One line: what is wrong, where, and the nearest name."""


def parse(text: str) -> ast.expr:
    """The syntax tree.

    Raises:
        ExpressionError: it is no expression, or one out of bounds.
    """
    if len(text) > LONGEST:
        raise ExpressionError(f"{len(text):,} characters long; at most {LONGEST:,} are allowed")
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        where = f" at character {error.offset}" if error.offset else ""
        raise ExpressionError(f"not an expression{where}: {one_line(str(error.msg))}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ExpressionError(f"not an expression: {one_line(str(error)) or 'nested too deeply'}") from None
    _check_size(tree)
    return tree


def _check_size(tree: ast.expr) -> None:
    """Walks without recursion, before anything recursive does."""
    level, depth, nodes = [tree], 0, 0
    while level:
        depth, nodes = depth + 1, nodes + len(level)
        if depth > DEEPEST:
            raise ExpressionError(f"nested more than {DEEPEST} levels deep; write it flatter")
        if nodes > MOST_NODES:
            raise ExpressionError(f"more than {MOST_NODES} parts; shorten it")
        level = [child for node in level for child in ast.iter_child_nodes(node)]


def one_line(text: str) -> str:
    """The text without line breaks, at most 200 characters of it."""
    line = " ".join(text.split())
    return line if len(line) <= 200 else f"{line[:199]}…"
