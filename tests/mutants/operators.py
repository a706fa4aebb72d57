"""Small faults in source text: which can be made in a module, and the syntax tree with one of them in it."""

from __future__ import annotations

import ast
import hashlib
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
FUNCTIONS = {
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
    "median": "max",
    "mean": "max",
    "fmean": "max",
    "ceil": "int",
    "floor": "ceil",
}
HEADS = {ast.If: "test", ast.While: "test", ast.For: "iter", ast.With: "items", ast.Match: "subject"}
TEXT = (ast.JoinedStr, ast.Constant)
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass(frozen=True)
class Mutant:
    """One fault. ``index`` counts the faults of its module; ``lines`` are those of its statement's head.

    Attributes:
        at_import: whether the import executes it, as it does constants, fields and the defaults of arguments.
    """

    path: str
    index: int
    place: str  # of the function, "" for the module itself
    before: str
    after: str
    occurrence: int  # of the same words in the same function, from 1
    lines: range
    at_import: bool

    @property
    def name(self) -> str:
        """Stays the same if other lines of the module change."""
        repeated = f" #{self.occurrence}" if self.occurrence > 1 else ""
        return f"{self.path} {self.place or 'module'}: {self.before} -> {self.after}{repeated}"


@dataclass(frozen=True)
class Fault:
    """Where it is in the tree: ``replacement`` takes the place of ``node``, in ``field`` of ``parent``."""

    parent: ast.AST
    field: str
    position: int | None  # in the field's list
    node: ast.AST
    replacement: ast.AST
    place: str
    lines: range
    at_import: bool

    def put_in(self) -> None:
        """Change the tree."""
        ast.fix_missing_locations(ast.copy_location(self.replacement, self.node))
        if self.position is None:
            setattr(self.parent, self.field, self.replacement)
        else:
            getattr(self.parent, self.field)[self.position] = self.replacement


def _changed(node: ast.AST, **fields: object) -> ast.AST:
    copy = deepcopy(node)
    for name, value in fields.items():
        setattr(copy, name, value)
    return copy


def _replacements(node: ast.AST) -> Iterator[ast.AST]:
    """What can stand for a node instead."""
    match node:
        case ast.Compare():
            for position, operator in enumerate(node.ops):
                for other in COMPARISONS[type(operator)]:
                    yield _changed(node, ops=[*node.ops[:position], other(), *node.ops[position + 1 :]])
        case ast.BinOp(left=left, right=right, op=operator) if type(operator) in ARITHMETIC:
            if not any(isinstance(side, ast.JoinedStr) or _is_text(side) for side in (left, right)):
                yield _changed(node, op=ARITHMETIC[type(operator)]())
        case ast.AugAssign(op=operator) if type(operator) in ARITHMETIC:
            yield _changed(node, op=ARITHMETIC[type(operator)]())
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield deepcopy(operand)
        case ast.BoolOp():
            yield _changed(node, op=ast.And() if isinstance(node.op, ast.Or) else ast.Or())
        case ast.Constant(value=bool()):
            yield ast.Constant(not node.value)
        case ast.Constant(value=int()):
            yield ast.Constant(node.value + 1)
        case ast.Constant(value=float()):
            yield ast.Constant(node.value * 2 or 1.0)
        case ast.If() | ast.While() | ast.IfExp():
            if not isinstance(node.test, ast.Compare | ast.UnaryOp | ast.Constant):  # those change by themselves
                yield _changed(node, test=ast.UnaryOp(ast.Not(), deepcopy(node.test)))
        case ast.comprehension(ifs=[_, *_]):
            yield _changed(node, ifs=[])
        case ast.Return(value=ast.expr() as value) if not _is_none(value):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call() | ast.Await()):
            yield ast.Pass()
        case ast.Break():
            yield ast.Continue()
        case ast.Continue():
            yield ast.Break()
        case ast.Call(func=ast.Name(id=called)) if called in FUNCTIONS:
            yield _changed(node, func=ast.Name(FUNCTIONS[called], ast.Load()))


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _left_alone(parent: ast.AST, field: str, node: ast.AST) -> bool:
    """Types, decorators, texts of errors, and arguments that only guard against mistakes of programmers."""
    return (
        field in ("annotation", "returns", "decorator_list", "type_params")
        or (field == "keywords" and isinstance(node, ast.keyword) and node.arg in ("strict", "frozen", "stacklevel"))
        or (isinstance(parent, ast.Raise) and field == "exc")
        or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    )


def _head(node: ast.stmt) -> range:
    """The lines of a statement without the statements in it."""
    head = getattr(node, HEADS.get(type(node), ""), None)
    end = head[-1] if isinstance(head, list) else head
    last = node.end_lineno or node.lineno
    if isinstance(end, ast.withitem):
        last = end.context_expr.end_lineno or last
    elif isinstance(end, ast.AST):
        last = getattr(end, "end_lineno", None) or last
    elif hasattr(node, "body"):
        last = node.lineno
    return range(node.lineno, last + 1)


def faults(tree: ast.Module) -> Iterator[Fault]:
    """Every fault that can be put into a module, always in the same order."""
    yield from _faults(tree, "", range(0), True)


def _faults(parent: ast.AST, place: str, lines: range, at_import: bool) -> Iterator[Fault]:
    for field, value in ast.iter_fields(parent):
        listed = isinstance(value, list)
        now = at_import and not (isinstance(parent, FUNCTION) and field == "body")
        for position, node in enumerate(value if listed else [value]):
            if not isinstance(node, ast.AST) or _left_alone(parent, field, node):
                continue
            inner = _head(node) if isinstance(node, ast.stmt) else lines
            for replacement in _replacements(node):
                yield Fault(parent, field, position if listed else None, node, replacement, place, inner, now)
            named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            within = f"{place}.{node.name}".lstrip(".") if named else place  # type: ignore[attr-defined]
            yield from _faults(node, within, inner, now)


def _words(node: ast.AST) -> str:
    if isinstance(node, ast.comprehension):
        return "".join(f"if {ast.unparse(test)} " for test in node.ifs).strip() or "all"
    if isinstance(node, ast.If | ast.While):
        return f"{type(node).__name__.lower()} {ast.unparse(node.test)}"
    return " ".join(ast.unparse(node).split())


def mutants(path: str, source: str) -> list[Mutant]:
    """All that can be made of a module."""
    seen: Counter[tuple[str, str, str]] = Counter()
    found = []
    for index, fault in enumerate(faults(ast.parse(source))):
        words = (fault.place, _words(fault.node), _words(fault.replacement))
        seen[words] += 1
        found.append(Mutant(path, index, *words, seen[words], fault.lines, fault.at_import))
    return found


def sample(every: list[Mutant], seed: int, size: int) -> list[Mutant]:
    """Some of them by their names: a change elsewhere in the module leaves the others in."""

    def drawn(mutant: Mutant) -> str:
        return hashlib.sha256(f"{seed} {mutant.name}".encode()).hexdigest()

    return sorted(sorted(every, key=drawn)[:size], key=lambda mutant: mutant.index)


def mutated(source: str, index: int) -> ast.Module:
    """The module with a fault in it."""
    tree = ast.parse(source)
    next(fault for place, fault in enumerate(faults(tree)) if place == index).put_in()
    return tree
