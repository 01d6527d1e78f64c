"""The rooms of the program and the one direction in which they may know each other; `docs/architecture.md` draws it."""

from __future__ import annotations

import ast

from tests.style.tree import Module, imports, own_imports, package_modules, shown

GROUND = frozenset({"domain", "errors"})
PURE = frozenset(
    {
        *GROUND, "config", "config_options", "config_sources", "wire", "decide", "session", "arbiter", "qnetd_text", "revocations",
        "join_url",
    }
)  # fmt: skip

ARROWS: dict[str, frozenset[str]] = {
    "": frozenset(),
    "errors": frozenset(),
    "domain": frozenset({"errors"}),
    "config": GROUND,
    "config_options": GROUND | {"config"},
    "config_sources": GROUND | {"config", "config_options"},
    "wire": GROUND,
    "decide": GROUND,
    "session": GROUND | {"config", "wire"},
    "arbiter": GROUND | {"config", "wire", "decide", "session"},
    "qnetd_text": GROUND | {"arbiter.snapshot"},
    "revocations": GROUND,
    "join_url": GROUND | {"config"},
    "control_client": GROUND,
    "container": frozenset(),
    "ledger": PURE,
    "net": PURE | {"container"},
    "pki": GROUND | {"config", "revocations", "control_client"},
    "backup": GROUND | {"pki"},
    "node": PURE | {"net"},
    "device": PURE,
    "doctor": PURE | {"control_client", "pki", "device", "node", "net.instance", "net.tls", "net.views"},
    "enroll": PURE | {"container", "pki", "net.log", "net.local_socket", "net.ratelimit"},
    "dashboard": GROUND | {"config", "arbiter.snapshot"},
    "sim": PURE,
    "cli": PURE | {"control_client", "ledger", "net", "pki", "node", "enroll", "device", "doctor", "backup", "dashboard", "sim"},
    "app": PURE | {"container", "ledger", "net", "pki", "node", "enroll", "dashboard", "sim"},
    "__main__": PURE | {"cli", "app"},
}
"""What each room may import, itself aside: a room as a whole, or one module of it."""

PURE_STANDARD_LIBRARY = frozenset(
    {
        "__future__", "abc", "base64", "binascii", "bisect", "collections", "contextlib", "dataclasses", "difflib", "enum", "functools",
        "heapq", "itertools", "math", "operator", "re", "string", "struct", "tomllib", "types", "typing",
    }
)  # fmt: skip
"""Modules in which nothing waits, reads a clock, rolls dice, or touches the machine."""

IMPURE_BUILTINS = frozenset({"open", "print", "input", "exec", "eval", "breakpoint", "__import__"})


def test_every_room_has_its_arrows() -> None:
    assert {module.room for module in package_modules()} <= ARROWS.keys()


def test_rooms_import_only_what_they_may() -> None:
    wrong = [
        f"{shown(module.path, imported.line)}: {module.room or 'the package'} may not import thirdvote.{imported.target}"
        for module in package_modules()
        for imported in own_imports(module)
        if not _may_import(module, imported.target)
    ]
    assert not wrong, "\n".join(wrong)


def test_pure_rooms_import_nothing_that_waits_or_touches_the_machine() -> None:
    wrong = [
        f"{shown(module.path, imported.line)}: {imported.target} in the pure room {module.room}"
        for module in package_modules()
        if module.room in PURE
        for imported in imports(module.tree)
        if imported.target.split(".")[0] not in PURE_STANDARD_LIBRARY | {"thirdvote"}
    ]
    assert not wrong, "\n".join(wrong)


def test_pure_rooms_call_nothing_that_touches_the_machine() -> None:
    wrong = [
        f"{shown(module.path, node.lineno)}: {node.func.id}() in the pure room {module.room}"
        for module in package_modules()
        if module.room in PURE
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_BUILTINS
    ]
    assert not wrong, "\n".join(wrong)


def test_the_rule_sees_what_it_forbids() -> None:
    module = Module(package_modules()[0].path, "wire.codec", ast.parse("def f():\n    from thirdvote.decide import view\n"))
    (imported,) = own_imports(module)
    assert not _may_import(module, imported.target)
    assert _may_import(module, "wire.options.OPTIONS")


def _may_import(module: Module, target: str) -> bool:
    allowed = ARROWS[module.room] | {module.room}
    if module.room == "__main__" or target == "__version__":
        allowed |= {"__version__"}
    return any(target == prefix or target.startswith(f"{prefix}.") for prefix in allowed)
