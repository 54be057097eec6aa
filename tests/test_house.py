"""The rules of the house, kept by tools: formatting, lint, types, the arrows between rooms; and the wheel."""

from __future__ import annotations

import ast
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYTHON = sys.executable
BIN = Path(PYTHON).parent


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Run a tool; its whole output is the message when it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_code_is_formatted() -> None:
    """As ruff does it."""
    run(PYTHON, "-m", "ruff", "format", "--check", "--quiet", ".")


def test_the_code_breaks_no_lint_rule() -> None:
    """All rules of ruff, but those left out with a reason."""
    run(PYTHON, "-m", "ruff", "check", "--quiet", ".")


def test_types_hold() -> None:
    """The package under mypy --strict, and a user's program against its public names."""
    run(PYTHON, "-m", "mypy")


def test_arrows_between_rooms_point_one_way() -> None:
    """The contracts of import-linter in pyproject.toml."""
    run(BIN / "lint-imports", "--no-cache")


#: What would run code found in a file, or switch a guard off.
FORBIDDEN_CALLS = {"eval", "exec", "read_pickle", "to_pickle", "extractall"}


@pytest.mark.parametrize("path", sorted(ROOT.glob("refonte_frames/**/*.py")), ids=lambda path: path.stem)
def test_nothing_in_the_package_unpickles_evaluates_or_leaves_tls_unverified(path: Path) -> None:
    """No pickle, no eval, no verify=False, no allow_pickle, no import of pickle or marshal."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            assert name not in FORBIDDEN_CALLS
            for keyword in node.keywords:
                is_false = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                assert not (keyword.arg == "verify" and is_false)
                assert keyword.arg != "allow_pickle"
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            assert not {"pickle", "marshal", "shelve", "dill"} & set(names)


def test_the_wheel_works_without_the_source(tmp_path: Path) -> None:
    """Built, installed beside nothing of the checkout, it runs the demo; it holds no test and no key."""
    run(PYTHON, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "refonte_frames/py.typed" in names
    assert not [name for name in names if "test" in name.lower().split("/")[0] or name.endswith((".db", ".journal"))]
    # The dependencies are those of this environment; the package is the wheel's.
    venv.create(tmp_path / "env", system_site_packages=False, with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    site = run(python, "-c", "import site; print(site.getsitepackages()[0])").strip()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    packages = [path for path in sys.path if path.endswith("site-packages")]
    Path(site, "dependencies.pth").write_text("\n".join(packages) + "\n", "utf-8")
    where = run(python, "-c", "import refonte_frames; print(refonte_frames.__file__)", cwd=tmp_path)
    assert where.startswith(str(tmp_path))
    said = run(python, "-m", "refonte_frames.cli", "demo", "--out", tmp_path / "demo", cwd=tmp_path)
    assert "annotations" in said
    assert list((tmp_path / "demo").rglob("*.parquet"))
