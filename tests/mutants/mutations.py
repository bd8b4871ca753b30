"""Every single change of a module that a test should notice: comparisons, boundaries, guards, constants, rounding."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

Edit: TypeAlias = Callable[[], object]
Put: TypeAlias = Callable[[ast.AST], None]
Site: TypeAlias = "tuple[ast.AST, str, Edit]"
"""The node, what is done to it, and the doing of it (in the tree)."""

COMPARISONS: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
}
SWAPPED: Final = {"min": "max", "max": "min", "any": "all", "all": "any"}
UNWRAPPED: Final = frozenset({"abs", "sorted", "reversed"})
ROUNDING: Final = frozenset({"round_half_up"})
STRIPPED: Final = frozenset({"lower", "strip"})
"""Methods that make spellings alike; the mutant does without them."""
ENDS: Final = (ast.Return, ast.Continue, ast.Break, ast.Raise)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one file. `function` is the outermost function that holds it, with the line it begins on; empty
    outside of functions. `index` finds it again in the same source."""

    file: str
    line: int
    function: str
    begins: int
    index: int
    change: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.function or 'module'}: {self.change}"


def mutants_of(file: str, source: str) -> Iterator[Mutant]:
    """All mutants of a module, in the order of its text."""
    tree = ast.parse(source)
    functions = list(_functions(tree))
    for index, (node, change, _) in enumerate(_sites(tree)):
        line: int = getattr(node, "lineno", 1)
        name, begins = next(((name, begins) for name, begins, lines in functions if line in lines), ("", 0))
        yield Mutant(file, line, name, begins, index, change)


def mutate(source: str, index: int) -> ast.Module:
    """The module with the change of that index."""
    tree = ast.parse(source)
    for place, (_, _, edit) in enumerate(_sites(tree)):
        if place == index:
            edit()
            return ast.fix_missing_locations(tree)
    raise IndexError(index)


def _functions(tree: ast.Module) -> Iterator[tuple[str, int, range]]:
    """Of every function that is in no other: qualified name, first line, and the lines of its body. What a parameter is
    when it is left out stands outside: it is worked out once, at the import."""

    def of(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, int, range]]:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                begins = min([node.lineno, *(one.lineno for one in node.decorator_list)])
                yield prefix + node.name, begins, range(node.body[0].lineno, (node.end_lineno or begins) + 1)
            elif isinstance(node, ast.ClassDef):
                yield from of(node.body, f"{prefix}{node.name}.")

    return of(tree.body, "")


def _sites(tree: ast.Module) -> Iterator[Site]:
    """Every place that can be changed. Nothing is changed before the caller does it, and then the caller stops."""
    yield from _in(tree)


def _in(node: ast.AST) -> Iterator[Site]:
    for name, value in ast.iter_fields(node):
        if _never_runs(node, name):
            continue
        children = value if isinstance(value, list) else [value]
        for place, child in enumerate(children):
            if isinstance(child, ast.AST) and not _out_of_reach(child):
                yield from _changes(child, _setter(node, name, place if isinstance(value, list) else None))
                yield from _in(child)


def _setter(parent: ast.AST, name: str, place: int | None) -> Put:
    def put(new: ast.AST) -> None:
        if place is None:
            setattr(parent, name, new)
        else:
            getattr(parent, name)[place] = new

    return put


def _never_runs(node: ast.AST, field: str) -> bool:
    """Annotations say nothing at run time, and decorators of classes say how objects are stored; a union of types that
    is cut short fails everywhere at once, which is no test of the tests."""
    if isinstance(node, ast.AnnAssign) and isinstance(node.annotation, ast.Name) and node.annotation.id == "TypeAlias":
        return True
    if isinstance(node, ast.Call) and _called(node) == "isinstance":
        return True
    if isinstance(node, ast.ClassDef) and field == "keywords":
        return True
    return field in ("annotation", "returns", "decorator_list", "type_params") or (
        isinstance(node, ast.Call) and field == "keywords" and _called(node) in ("ConfigDict", "zip", "dataclass")
    )


def _out_of_reach(node: ast.AST) -> bool:
    """Assertions and the ends of exhaustive matches are there for the type check; a text is no condition."""
    return (
        isinstance(node, ast.Assert)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or (isinstance(node, ast.Call | ast.Subscript) and _called(node) in ("assert_never", "Literal"))
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and _called(node.value) == "assert_never")
    )


def _called(node: ast.AST) -> str:
    name = node.func if isinstance(node, ast.Call) else getattr(node, "value", None)
    return name.id if isinstance(name, ast.Name) else name.attr if isinstance(name, ast.Attribute) else ""


def _changes(node: ast.AST, put: Put) -> Iterator[Site]:
    if isinstance(node, ast.Compare):
        yield from _compared(node)
    elif isinstance(node, ast.BinOp):
        yield from _calculated(node, put)
    elif isinstance(node, ast.BoolOp):
        yield from _joined(node, put)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield node, f"{_text(node)} → {_text(node.operand)}", partial(put, node.operand)
    elif isinstance(node, ast.Constant) and type(node.value) in (int, bool):
        other = (not node.value) if isinstance(node.value, bool) else int(repr(node.value)) + 1
        yield node, f"{node.value!r} → {other}", partial(put, ast.Constant(other))
    elif isinstance(node, ast.IfExp):
        swapped = ast.IfExp(node.test, node.orelse, node.body)
        yield node, f"{_text(node)} → branches swapped", partial(put, swapped)
    elif isinstance(node, ast.Call):
        yield from _calls(node, put)
    elif isinstance(node, ast.Set) and len(node.elts) > 1:
        for one in node.elts:
            yield one, f"{_text(one)} left out of {_text(node)}", partial(node.elts.remove, one)
    elif isinstance(node, ast.comprehension):
        for test in node.ifs:
            yield test, f"without `if {_text(test)}`", partial(node.ifs.remove, test)
    elif isinstance(node, ast.match_case) and node.guard is not None:
        yield node.guard, f"case without `if {_text(node.guard)}`", partial(setattr, node, "guard", None)
    elif isinstance(node, ast.stmt):
        yield from _statements(node, put)


def _compared(node: ast.Compare) -> Iterator[Site]:
    for place, op in enumerate(node.ops):
        for kind in COMPARISONS.get(type(op), ()):
            ops = [*node.ops[:place], kind(), *node.ops[place + 1 :]]
            text = f"{_text(node)} → {_text(ast.Compare(node.left, ops, node.comparators))}"
            yield node, text, partial(setattr, node, "ops", ops)


def _calculated(node: ast.BinOp, put: Put) -> Iterator[Site]:
    if type(node.op) in ARITHMETIC:
        other = ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right)
        yield node, f"{_text(node)} → {_text(other)}", partial(put, other)
    elif isinstance(node.op, ast.BitOr | ast.BitAnd) and not _is_type(node.right):
        yield node, f"{_text(node)} → {_text(node.left)}", partial(put, node.left)


def _is_type(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant) and node.value is None:
        return True
    return isinstance(node, ast.Name) and (
        node.id in ("int", "str", "bool") or (node.id[0].isupper() and node.id[1:2].islower())
    )


def _joined(node: ast.BoolOp, put: Put) -> Iterator[Site]:
    other: ast.boolop = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    text = f"{_text(node)} → {_text(ast.BoolOp(other, node.values))}"
    yield node, text, partial(put, ast.BoolOp(other, node.values))
    for place, one in enumerate(node.values):
        rest = [*node.values[:place], *node.values[place + 1 :]]
        left = rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
        yield one, f"{_text(node)} without `{_text(one)}`", partial(put, left)


def _calls(node: ast.Call, put: Put) -> Iterator[Site]:
    name = _called(node)
    if isinstance(node.func, ast.Name) and name in SWAPPED:
        text = f"{_text(node)} → {SWAPPED[name]}(…)"
        yield node, text, partial(setattr, node, "func", ast.Name(SWAPPED[name], ast.Load()))
    elif name in UNWRAPPED and node.args:
        inside = ast.Call(ast.Name("list", ast.Load()), [node.args[0]], []) if name != "abs" else node.args[0]
        yield node, f"{_text(node)} → {_text(inside)}", partial(put, inside)
    elif name in ROUNDING:
        floor = ast.BinOp(node.args[0], ast.FloorDiv(), node.args[1])
        yield node, f"{_text(node)} → {_text(floor)}", partial(put, floor)
    elif name in STRIPPED and isinstance(node.func, ast.Attribute):
        receiver = node.func.value
        yield node, f"{_text(node)} → {_text(receiver)}", partial(put, receiver)


def _statements(node: ast.stmt, put: Put) -> Iterator[Site]:
    nothing = ast.Pass()
    gone = (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)) or isinstance(
        node, ast.AugAssign | ast.Raise
    )
    if gone:
        yield node, f"without `{_text(node)}`", partial(put, nothing)
    elif isinstance(node, ast.If) and not node.orelse and isinstance(node.body[-1], ENDS):
        yield node, f"without the guard `if {_text(node.test)}`", partial(put, nothing)


def _text(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 100 else text[:97] + "…"
