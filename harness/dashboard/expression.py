"""The expression box: `method in ["lora", "ia3"] and memory_train < 600 * MiB` over named columns, without eval.

The text is parsed with Python's own parser and only what is listed here is carried out: and, or, not, comparisons,
in, + - * /, numbers, texts, lists, names of columns and units. A missing value makes every comparison false.
"""

import ast
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy
import pandas

from harness.dashboard.syntax import ExpressionError, one_line, parse
from harness.errors import did_you_mean
from harness.result.columns import COLUMNS

FLAGS = ("ranked", "tied", "profile", "modified")  # columns of yes and no
UNITS = {
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "thousand": 1e3, "million": 1e6, "billion": 1e9,
    "percent": 0.01, "seconds": 1, "minutes": 60, "hours": 3600,
}  # fmt: skip
_ARITHMETIC: dict[type, Callable] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv
}  # fmt: skip
_ORDER: dict[type, Callable] = {ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge}
_EQUALITY: dict[type, Callable] = {ast.Eq: operator.eq, ast.NotEq: operator.ne}
_NOT_ALLOWED = {
    ast.Call: "calls", ast.Attribute: "attributes", ast.Subscript: "subscripts", ast.Pow: "powers",
    ast.Lambda: "lambda", ast.Mod: "remainders", ast.FloorDiv: "//", ast.IfExp: "if … else", ast.NamedExpr: ":=",
    ast.Is: "is", ast.IsNot: "is not", ast.JoinedStr: "f-strings", ast.BitAnd: "&, write and",
    ast.BitOr: "|, write or", ast.Invert: "~, write not",
}  # fmt: skip

_Type = Literal["number", "text", "condition", "list"]


@dataclass(frozen=True)
class _Value:
    """A column or constant; numbers as floats with NaN for missing, texts as objects with "" for missing."""

    type: _Type
    data: numpy.ndarray | list["_Value"]


def mask(frame: pandas.DataFrame, text: str) -> pandas.Series:
    """The rows for which the expression holds, all of them for an empty one.

    Raises:
        ExpressionError: anything that is not such an expression.
    """
    if not text.strip():
        return pandas.Series(True, index=frame.index, dtype=bool)
    text = text.strip().replace("\r", " ").replace("\n", " ")
    tree = parse(text)
    with numpy.errstate(all="ignore"):  # what is not finite is missing
        found = _Evaluation(frame, text).value(tree)
    if found.type != "condition":
        raise ExpressionError(f"a {found.type} where a condition is expected; compare it, as in: score > 0.5")
    return pandas.Series(numpy.broadcast_to(found.data, len(frame)).copy(), index=frame.index, dtype=bool)


class _Evaluation:
    """One expression over one frame."""

    def __init__(self, frame: pandas.DataFrame, text: str) -> None:
        self.frame = frame
        self.text = text

    def value(self, node: ast.AST) -> _Value:
        """Of any part of the expression."""
        match node:
            case ast.BoolOp():
                parts = [self._condition(part) for part in node.values]
                combine = numpy.logical_and if isinstance(node.op, ast.And) else numpy.logical_or
                return _Value("condition", combine.reduce(numpy.broadcast_arrays(*parts)))
            case ast.UnaryOp(op=ast.Not()):
                return _Value("condition", ~self._condition(node.operand))
            case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
                number = self._number(node.operand)
                return _Value("number", -number if isinstance(node.op, ast.USub) else number)
            case ast.BinOp() if type(node.op) in _ARITHMETIC:
                result = _ARITHMETIC[type(node.op)](self._number(node.left), self._number(node.right))
                return _Value("number", numpy.where(numpy.isfinite(result), result, math.nan))
            case ast.Compare():
                return self._comparison(node)
            case ast.List() | ast.Tuple():
                return _Value("list", [self.value(part) for part in node.elts])
            case ast.Name():
                return self._name(node)
            case ast.Constant():
                return self._constant(node)
        kinds = [type(node), type(getattr(node, "op", None))]
        what = next((_NOT_ALLOWED[kind] for kind in kinds if kind in _NOT_ALLOWED), "this")
        raise self._error(node, f"{what}: not allowed here")

    def _condition(self, node: ast.AST) -> numpy.ndarray:
        return self._expect(node, "condition", "compare it, as in: score > 0.5")

    def _number(self, node: ast.AST) -> numpy.ndarray:
        return self._expect(node, "number", "only numbers can be calculated with")

    def _expect(self, node: ast.AST, wanted: _Type, remedy: str) -> numpy.ndarray:
        value = self.value(node)
        if value.type != wanted:
            raise self._error(node, f"a {value.type} where a {wanted} is expected; {remedy}")
        return value.data

    def _comparison(self, node: ast.Compare) -> _Value:
        """Chained ones, too: 1 < rank <= 8."""
        left, result = self.value(node.left), numpy.array(True)
        for test, operand in zip(node.ops, node.comparators, strict=True):
            right = self.value(operand)
            result = result & self._compared(left, test, right, operand)
            left = right
        return _Value("condition", result)

    def _compared(self, left: _Value, test: ast.cmpop, right: _Value, node: ast.AST) -> numpy.ndarray:
        if isinstance(test, ast.In | ast.NotIn):
            found, known = self._contained(left, right, node)
            return (found if isinstance(test, ast.In) else ~found) & known
        kind = type(test)
        if kind not in _ORDER and kind not in _EQUALITY:
            raise self._error(node, f"{_NOT_ALLOWED.get(kind, 'this comparison')}: not allowed here; write == or !=")
        if left.type != right.type or left.type not in ("number", "text"):
            raise self._error(node, f"a {left.type} cannot be compared with a {right.type}")
        if kind in _ORDER and left.type == "text":
            raise self._error(node, "texts are compared with ==, != and in only")
        compared = (_ORDER | _EQUALITY)[kind](left.data, right.data)
        return numpy.asarray(compared, dtype=bool) & _known(left) & _known(right)

    def _contained(self, left: _Value, right: _Value, node: ast.AST) -> tuple[numpy.ndarray, numpy.ndarray]:
        """Whether each value is in the list, or a text in a text; and whether it is known at all."""
        if left.type == right.type == "text":
            parts, wholes = numpy.broadcast_arrays(left.data, right.data)
            pairs = zip(parts.ravel(), wholes.ravel(), strict=True)
            found = numpy.array([part in whole for part, whole in pairs], dtype=bool).reshape(parts.shape)
            return found, _known(left) & _known(right)
        if right.type != "list":
            raise self._error(node, 'expected a list after in, as in: method in ["lora", "ia3"]')
        if left.type not in ("number", "text"):
            raise self._error(node, f"a {left.type} cannot be looked up in a list")
        found = numpy.zeros(left.data.shape, dtype=bool)
        for one in right.data:
            if one.type != left.type:
                raise self._error(node, f"the list holds a {one.type} where {left.type}s are expected")
            found = found | (numpy.asarray(left.data == one.data, dtype=bool) & _known(one))
        return found, _known(left)

    def _name(self, node: ast.Name) -> _Value:
        if node.id in UNITS:
            return _Value("number", numpy.array(float(UNITS[node.id])))
        names = [name for name in (*COLUMNS, *FLAGS) if name in self.frame]
        if node.id not in names:
            raise self._error(node, f"no such column; {did_you_mean(node.id, [*names, *UNITS])}")
        column = self.frame[node.id]
        if node.id in FLAGS:
            return _Value("condition", column.to_numpy(dtype=bool))
        if COLUMNS[node.id].unit == "text":
            return _Value("text", column.to_numpy(dtype=object))
        return _Value("number", column.to_numpy(dtype=float))

    def _constant(self, node: ast.Constant) -> _Value:
        if isinstance(node.value, str):
            return _Value("text", numpy.array(node.value, dtype=object))
        if type(node.value) not in (int, float):
            raise self._error(node, "only numbers and texts in quotation marks are allowed")
        try:
            number = float(node.value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self._error(node, "too large for a number")
        return _Value("number", numpy.array(number))

    def _error(self, node: ast.AST, message: str) -> ExpressionError:
        """The message behind the part that it is about."""
        part = ast.get_source_segment(self.text, node) if hasattr(node, "col_offset") else None
        where = f" at character {len(self.text.encode()[: node.col_offset].decode()) + 1}" if part else ""
        return ExpressionError(f"{one_line(part or 'expression')}{where}: {one_line(message)}")


def _known(value: _Value) -> numpy.ndarray:
    return ~numpy.isnan(value.data) if value.type == "number" else numpy.asarray(value.data != "", dtype=bool)
