"""Sessions: benchmarks, tests and linters; ``nox -l`` lists them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nox

nox.options.sessions = ["lint", "tests"]
nox.options.reuse_existing_virtualenvs = True

# Two processes more than there are cores, as many tests wait for runs; more would disturb what these time.
# tests/conftest.py orders the files.
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
IN_PARALLEL = ("-n", str(min(4, CORES + 2)), "--dist", "loadfile", "--no-loadscope-reorder")

NEEDS_GPU = """
import sys, torch
if torch.version.cuda is None:
    sys.exit(f"torch {torch.__version__} is a CPU build: install one for CUDA, see pytorch.org/get-started")
if not torch.cuda.is_available():
    sys.exit("PyTorch finds no CUDA GPU here; nvidia-smi shows what the driver sees")
"""
PYTHON = "python3" if shutil.which("python") is None and shutil.which("python3") else "python"
ON_GPU = (  # all tests marked cuda
    "tests/bench/test_on_gpu.py",
    "tests/bench/test_clock.py",
    "tests/bench/test_profile_on_gpu.py",
    "tests/bench/test_user_kernels.py",
    "tests/suites/test_decoders.py",
)
HERE = Path(__file__).parent
RESULTS = HERE / "results"
EXTRAS = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
CHECKS = HERE / ".nox" / "checks"  # the environment that linters and tests share


def install(session: nox.Session, extras: str = "") -> None:
    """Install this project with the versions that it is tested with."""
    session.install("-e", f".{extras}", "-c", "constraints.txt")


@nox.session
def bench(session: nox.Session) -> None:
    """Run the quick tier on this machine and render the report.

    Anything after ``--`` goes to pytest: ``nox -s bench -- --tier default --budget 20m``.
    """
    measure(session, "run")


def measure(session: nox.Session, name: str, *options: str) -> None:
    """Run the benchmark with these options and render the report.

    With ``nox --no-venv --no-install`` the interpreter on PATH does so, in which this clone need not be installed.
    """
    install(session, "[export,logging,data,history,transformers]")
    RESULTS.mkdir(exist_ok=True)
    run = RESULTS / f"{name}.json"
    report = RESULTS / ("report.html" if name == "run" else f"{name}.html")
    run.unlink(missing_ok=True)
    session.run(
        *(PYTHON, "-m", "pytest", "bench/", "--benchmark-json", str(run), "--benchmark-quiet"),
        *("-p", "torchduet.run_answer", *options),  # loaded by itself only where this clone is installed
        *session.posargs,
        success_codes=[0, 1],  # 1: some cases failed; the report names them and the reasons
    )
    if not run.exists():
        session.error("nothing was measured; the lines above give the reason")
    session.run(PYTHON, "-m", "torchduet", "render", str(run), "-o", str(report))
    session.log(f"Open {report.as_uri()}")
    failed = len(json.loads(run.read_text())["torchduet"]["failed"])
    if failed:
        session.error(f"{failed} case{'s' if failed > 1 else ''} failed; the report gives the reasons")


def needs_driver(session: nox.Session) -> None:
    """Fail before anything is installed if there is no NVIDIA driver."""
    if shutil.which("nvidia-smi") is None and not Path("/proc/driver/nvidia/version").exists():
        session.error("there is no NVIDIA driver on this machine (no nvidia-smi), so there is no GPU to measure")


@nox.session(name="bench-cuda")
def bench_cuda(session: nox.Session) -> None:
    """Measure the first GPU with the default tier in 45 minutes; fails at once without a GPU.

    Anything after ``--`` goes to pytest: ``nox -s bench-cuda -- --energy -k matmul``. Without a package index:
    ``nox --no-venv --no-install -s bench-cuda``.
    """
    measure_gpu(session, "cuda", "45m")


@nox.session(name="bench-cuda-quick")
def bench_cuda_quick(session: nox.Session) -> None:
    """The same in 8 minutes: fewer visits to each workload, and wider intervals."""
    measure_gpu(session, "cuda-quick", "8m")


def measure_gpu(session: nox.Session, name: str, budget: str) -> None:
    """Run the default tier on the first GPU, within a budget, and render the report."""
    needs_driver(session)
    install(session, "[export,logging,data,history,transformers]")
    session.run(PYTHON, "-c", NEEDS_GPU)
    measure(session, name, "--tier", "default", "--device", "cuda", "--budget", budget)


@nox.session(name="check-cuda")
def check_cuda(session: nox.Session) -> None:
    """Run the tests that need a GPU, in about 6 minutes; fails at once without one.

    They need pytest alone. Without a package index: ``nox --no-venv --no-install -s check-cuda``.
    """
    needs_driver(session)
    install(session)
    session.run(PYTHON, "-c", NEEDS_GPU)
    session.run(PYTHON, "-m", "pytest", *ON_GPU, "-m", "cuda", "-ra", "--durations=20", *session.posargs)


@nox.session(venv_backend="none")
def duet(session: nox.Session) -> None:
    """Is B faster than A? ``nox -s duet -- "torch==2.12.0" "torch==2.13.0"`` times every case in both.

    The first two arguments are the packages that pip installs for A and for B (several in one argument are
    separated by blanks). Further arguments go to pytest: ``--suite my_model.py --budget 10m``.
    """
    if len(session.posargs) < 2 or any(argument.startswith("-") for argument in session.posargs[:2]):
        session.error('name both sides: nox -s duet -- "torch==2.12.0" "torch==2.13.0"')
    a, b, *rest = session.posargs
    interpreters = [environment(session, name, wanted) for name, wanted in (("a", a), ("b", b))]
    RESULTS.mkdir(exist_ok=True)
    run, report = RESULTS / "duet.json", RESULTS / "duet.html"
    run.unlink(missing_ok=True)
    session.run(
        *(interpreters[1], "-m", "pytest", "bench/", "--against", interpreters[0]),  # A is the base
        *("--benchmark-json", str(run), "--benchmark-quiet"),
        *rest,
        success_codes=[0, 1],  # 1: some cases failed; the report names them and the reasons
        external=True,
    )
    if not run.exists():
        session.error("nothing was measured; the lines above give the reason")
    session.run(interpreters[1], "-m", "torchduet", "render", str(run), "-o", str(report), external=True)
    session.log(f"Open {report.as_uri()}")


def environment(session: nox.Session, name: str, wanted: str) -> str:
    """The interpreter of a virtual environment with this project and the packages ``wanted`` instead of its torch."""
    folder = HERE / ".nox" / f"duet-{name}"
    python = str(folder / "bin" / "python")
    uv = shutil.which("uv")
    if not Path(python).exists():
        session.run(*((uv, "venv", "--seed") if uv else (sys.executable, "-m", "venv")), str(folder), external=True)
    install = (uv, "pip", "install", "--python", python) if uv else (python, "-m", "pip", "install", "-q")
    # A needs torch and numpy only, B runs pytest, too. Both get everything, so that they differ in `wanted` alone.
    session.run(*install, "-e", ".[export,logging,data,history,transformers]", *wanted.split(), external=True)
    return python


@nox.session
def aa(session: nox.Session) -> None:
    """Measure the suite itself: every case of the quick tier against its A/A and slowed copies; about 15 minutes.

    Anything after ``--`` goes to pytest: ``nox -s aa -- -k matmul --threads 1``.
    """
    measure(session, "aa", "--aa")


@nox.session
def coverage(session: nox.Session) -> None:
    """Simulate runs and print how often intervals over visits hold the true value; some minutes, see ``-- --quick``."""
    install(session)
    session.run("torchduet", "selfcheck", "coverage", *session.posargs)


@nox.session
def reproduce(session: nox.Session) -> None:
    """Repeat the quick tier five times and report how far the runs agree; about 8 minutes.

    Anything after ``--`` goes to the command: ``nox -s reproduce -- --runs 3 -k matmul``.
    """
    install(session, "[export,logging,data,history,transformers]")
    session.run("torchduet", "selfcheck", "reproduce", "--folder", str(RESULTS / "reproduce"), *session.posargs)


@nox.session
def levels(session: nox.Session) -> None:
    """Measure whether speed-ups differ between interpreters, their forks or placements; about 6 minutes."""
    install(session)
    RESULTS.mkdir(exist_ok=True)
    session.run("torchduet", "selfcheck", "levels", "-o", str(RESULTS / "levels.json"), *session.posargs)


@nox.session
def peers(session: nox.Session) -> None:
    """Run other benchmarking tools on the same identical and slowed copies; some hours, see ``-- --help``."""
    install(session, "[peers]")
    RESULTS.mkdir(exist_ok=True)
    session.run("torchduet", "peers", "run", "-o", str(RESULTS / "peers.json"), *session.posargs)


@nox.session
def tensorboard(session: nox.Session) -> None:
    """Open traces of ``--profile`` in TensorBoard: ``nox -s tensorboard -- results/run-traces``."""
    if not session.posargs or not Path(session.posargs[0]).is_dir():
        session.error("name the folder of the traces: nox -s tensorboard -- results/run-traces")
    install(session, "[profile]")
    folder, *rest = session.posargs
    here = ("--host", "localhost")  # a later --host, among what follows, counts instead
    session.run("python", "-m", "tensorboard.main", "--logdir", folder, "--load_fast", "false", *here, *rest)


@nox.session
def docs(session: nox.Session) -> None:
    """Write the documentation as a site, build/site, and fail if a link leads nowhere; ``-- serve`` shows it."""
    session.install("-c", "constraints.txt", *EXTRAS["docs"])
    what, *rest = session.posargs or ["build", "--strict"]
    session.run("mkdocs", what, "-f", ".mkdocs.yml", *rest, env={"NO_MKDOCS_2_WARNING": "1"})
    if what == "build":
        session.log(f"Open {(HERE / 'build' / 'site' / 'index.html').as_uri()}")


@nox.session
def examples(session: nox.Session) -> None:
    """Measure and write docs/examples and the README's pictures, in about eight minutes; needs a Chromium.

    What was measured is kept in build/examples and rendered again, unless ``-- --again``; ``-- run duet`` names some.
    """
    install(session, "[test]")
    session.run("python", "-m", "tests.docs.examples", *session.posargs)


def in_checks(program: str) -> str:
    """A program of the environment that linters and tests share."""
    return str(CHECKS / "bin" / program)


def checks(session: nox.Session) -> dict[str, str]:
    """Make the environment that linters and tests share, unless it is there: PyTorch is installed once for both.

    Returns:
        The variables with which programs find those beside them.
    """
    python = in_checks("python")
    if not Path(python).exists():
        session.run_install(sys.executable, "-m", "venv", str(CHECKS), external=True)
    wanted = b"".join((HERE / name).read_bytes() for name in ("pyproject.toml", "constraints.txt"))
    installed, current = CHECKS / "installed", hashlib.sha256(wanted).hexdigest()
    if not installed.exists() or installed.read_text() != current:
        # Most modules are never imported: compiling all of them takes a minute longer.
        extras = ".[test,fleet,lint]"
        install = (python, "-m", "pip", "install", "-q", "--no-compile", "-e", extras, "-c", "constraints.txt")
        session.run_install(*install, external=True)
        installed.write_text(current)
    return {"PATH": os.pathsep.join((str(CHECKS / "bin"), os.environ.get("PATH", os.defpath)))}


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """Run the tests but the slow ones; those in a browser need Chromium and are skipped without it."""
    run_tests(session, "-m", "not slow")


@nox.session(name="tests-all", venv_backend="none")
def tests_all(session: nox.Session) -> None:
    """Run all tests, with those that tests/slow.py names; about an hour on two cores."""
    run_tests(session)


def run_tests(session: nox.Session, *options: str) -> None:
    """Run all tests, or what stands after ``--``."""
    # Tests start many interpreters: without bytecode each would compile this project anew, for a second.
    env = checks(session) | {"PYTHONDONTWRITEBYTECODE": ""}
    session.run(
        *(in_checks("python"), "-m", "pytest", *IN_PARALLEL, *options, *(session.posargs or ["tests"])),
        env=env,
        external=True,
    )


@nox.session(venv_backend="none")
def fuzz(session: nox.Session) -> None:
    """Read 10,000 mutated files, in a minute at most, try 10,000 command lines, and many examples of every property.

    Another ``-- SEED`` makes other files.
    """
    env = checks(session)
    session.run(in_checks("python"), "-m", "tests.reports.fuzz", "10000", *session.posargs, env=env, external=True)
    properties = ("tests/reports/test_readers_properties.py", "tests/bench/test_statistics_properties.py")
    env |= {"HYPOTHESIS_PROFILE": "thorough"}
    session.run(in_checks("python"), "-m", "pytest", "-q", *properties, env=env, external=True)


@nox.session(venv_backend="none")
def mutants(session: nox.Session) -> None:
    """Put small faults into the core modules, and fail if the fast tests notice fewer than 92 %; half an hour at most.

    Anything after ``--`` goes to the command: ``nox -s mutants -- --seed 3 reports/compare/verdicts.py``.
    """
    env = checks(session)
    session.run(in_checks("python"), "-u", "-m", "tests.mutants", *session.posargs, env=env, external=True)


@nox.session(venv_backend="none")
def soak(session: nox.Session) -> None:
    """Kill processes of a run 30 times, and of a duet 10 times, and make a run of 5,000 families; about an hour."""
    env = checks(session)
    for what, number in (("kills", "30"), ("duet-kills", "10"), ("memory", "5000")):
        session.run(in_checks("python"), "-u", "-m", "tests.faults.soak", what, number, env=env, external=True)


def typed_links() -> None:
    """Make links that give mypy the installed layout; it does not follow the editable finder of setuptools."""
    package = HERE / ".typed" / "torchduet"
    shutil.rmtree(package.parent, ignore_errors=True)
    package.mkdir(parents=True)
    for name in ("bench", "suites", "reports"):
        (package / name).symlink_to(HERE / name, target_is_directory=True)
    for path in (HERE / "torchduet").iterdir():
        if path.name != "__pycache__":
            (package / path.name).symlink_to(path)


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Check style, format, types and the packages for an index."""
    env = checks(session)
    session.run(in_checks("ruff"), "check", ".", env=env, external=True)
    session.run(in_checks("ruff"), "format", "--check", ".", env=env, external=True)
    typed_links()
    with ThreadPoolExecutor(1) as beside:  # each uses one core
        packaged = beside.submit(package, session, env)
        session.run(in_checks("mypy"), env=env, external=True)
        packaged.result()


def package(session: nox.Session, env: dict[str, str]) -> None:
    """Build the source distribution, the wheel from it, and check their metadata and readme."""
    folder = Path(session.create_tmp()) / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    session.run(in_checks("python"), "-m", "build", "--outdir", str(folder), ".", env=env, external=True)
    session.run(in_checks("twine"), "check", "--strict", *map(str, sorted(folder.glob("*"))), env=env, external=True)
