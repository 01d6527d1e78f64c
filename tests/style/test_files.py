"""No file that nothing uses, and a unit test for every file."""

from __future__ import annotations

from tests.style.tree import PACKAGE, ROOT, Module, own_imports, package_modules

ENTRY_POINT = "__main__"
UNIT = ROOT / "tests" / "unit"

WITHOUT_UNIT_TEST: dict[str, str] = {
    "domain": "types; every test uses them",
    "errors": "types; every test uses them",
    "decide.view": "types; the algorithms' tests use them",
    "wire.messages": "types; the codec's tests use them",
    "arbiter.interface": "types; the arbiter's tests use them",
    "ledger.interface": "types; the writer's tests use them",
    "arbiter.record": "types; the arbiter's and the ledger's tests use them",
    "arbiter.snapshot": "types; the arbiter's tests use them",
    "arbiter.cluster": "a part of the arbiter, tested through its one step",
    "arbiter.node": "a part of the arbiter, tested through its one step",
    "arbiter.referee": "a part of the arbiter, tested through its one step",
    "arbiter.rounds": "a part of the arbiter, tested through its one step and in lock step",
    "arbiter.standing": "a part of the arbiter, tested through its one step and in lock step",
}
"""Modules of src that have no unit test of their own, and why."""

WITHOUT_MODULE: dict[str, str] = {
    "arbiter/test_defects.py": "defects of the stock server that only a whole cluster shows",
    "arbiter/test_granting_surroundings.py": "the ledger, the operator and the settings, where a vote waits",
    "session/test_node_with_arbiter.py": "both ends of the protocol as a pair",
}
"""Unit tests that mirror no module, and why."""


def test_no_module_is_dead() -> None:
    used = {name for module in package_modules() for name in _uses(module) if name != module.name}
    modules = {module.name for module in package_modules() if not module.is_package}
    assert sorted(name for name in modules - used if name.split(".")[-1] != ENTRY_POINT) == []


def test_unit_tests_mirror_the_source() -> None:
    modules = {module.name for module in package_modules() if module.path.read_text(encoding="utf-8").strip() and not module.is_package}
    tests = {path.relative_to(UNIT).as_posix() for path in UNIT.rglob("test_*.py")}
    wanted = {_test_of(name): name for name in modules}
    assert sorted(name for path, name in wanted.items() if path not in tests and name not in WITHOUT_UNIT_TEST) == []
    assert sorted(path for path in tests if path not in wanted and path not in WITHOUT_MODULE) == []


def test_exceptions_are_still_needed() -> None:
    modules = {module.name for module in package_modules()}
    assert WITHOUT_UNIT_TEST.keys() <= modules
    assert all((UNIT / path).is_file() for path in WITHOUT_MODULE)


def test_every_room_is_documented() -> None:
    """A newcomer finds each room in the drawing of the architecture."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert sorted(room for room in rooms if f"{room}/" not in text) == []


def _uses(module: Module) -> set[str]:
    """Names of modules that this one imports: `wire.codec.decode` uses wire and wire.codec."""
    names = set()
    for imported in own_imports(module):
        parts = imported.target.split(".")
        names |= {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
    return names


def _test_of(name: str) -> str:
    *folders, last = name.split(".")
    return "/".join([*folders, f"test_{last.strip('_')}.py"])
