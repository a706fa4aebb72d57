"""The page ``docs/fleet.md``: its recipes name the shards that they mean, and their YAML has the documented fields."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "fleet.md").read_text("utf-8")
NAMED = {"".join(re.findall(r"^# (\S+)$", code, re.M)): code for code in re.findall(r"```\w+\n(.*?)```", PAGE, re.S)}
BLOCKS = {name: code for name, code in NAMED.items() if name}

STUB = """#!{python}
import sys
from torchduet.bench.plan.shard_variables import shard_of_environment
words = sys.argv[1:]
if "auto" in words:
    words[words.index("auto")] = str(shard_of_environment())
print(*words)
"""


def printed(script: str, folder: Path, **environment: str) -> list[str]:
    """What ``torchduet`` is called with by a script; ``auto`` is replaced by the shard that it finds."""
    stub = folder / "torchduet"
    stub.write_text(STUB.format(python=sys.executable))
    stub.chmod(stub.stat().st_mode | stat.S_IXUSR)
    done = subprocess.run(
        ["bash", "-euc", script],
        env={"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def expressions(text: str, values: dict[str, object]) -> str:
    """The text as GitHub gives it to the shell."""
    return re.sub(r"\$\{\{ (\S+) \}\}", lambda found: str(values[found[1]]), text)


def test_the_page_is_linked_and_has_all_recipes() -> None:
    assert "(docs/fleet.md)" in (ROOT / "README.md").read_text("utf-8")
    assert BLOCKS.keys() == {
        ".github/workflows/bench.yml",
        ".gitlab-ci.yml",
        "shard.sh",
        "submit.sh",
        "torchduet-job.yaml",
    }


def test_each_job_of_github_is_another_shard(tmp_path: Path) -> None:
    jobs = yaml.safe_load(BLOCKS[".github/workflows/bench.yml"])["jobs"]
    shard, merge = jobs["shard"], jobs["merge"]
    assert shard["strategy"]["fail-fast"] is False, "one shard that fails ends the others"
    (measure,) = [step["run"] for step in shard["steps"] if step.get("run", "").startswith("torchduet run")]
    calls = []
    for index, number in enumerate(shard["strategy"]["matrix"]["shard"]):
        values = {"strategy.job-index": index, "strategy.job-total": 4, "matrix.shard": number}
        environment = {name: expressions(value, values) for name, value in shard["env"].items()}
        calls += printed(expressions(measure, values), tmp_path, **environment)
    assert calls == [
        f"run --tier default --shard {number}/4 --benchmark-json shard{number}.json" for number in (1, 2, 3, 4)
    ]
    assert merge["needs"] == "shard"
    assert all(job["timeout-minutes"] and job["runs-on"] for job in jobs.values())
    up = next(step["with"] for step in shard["steps"] if "upload-artifact" in step.get("uses", ""))
    down = next(step["with"] for step in merge["steps"] if "download-artifact" in step.get("uses", ""))
    assert re.fullmatch(down["pattern"].replace("*", ".*"), expressions(up["name"], {"matrix.shard": 3}))


def test_each_job_of_gitlab_is_another_shard(tmp_path: Path) -> None:
    pipeline: dict[str, Any] = yaml.safe_load(BLOCKS[".gitlab-ci.yml"])
    shard = pipeline["shard"]
    assert shard["stage"] in pipeline["stages"]
    assert pipeline["stages"].index(shard["stage"]) < pipeline["stages"].index(pipeline["merge"]["stage"])
    for index in (1, shard["parallel"]):
        (call,) = printed(shard["script"][0], tmp_path, CI_NODE_INDEX=str(index), CI_NODE_TOTAL=str(shard["parallel"]))
        assert f"--shard {index}/4 --benchmark-json shard{index}.json" in call


def test_each_task_of_slurm_is_another_shard(tmp_path: Path) -> None:
    first, last = map(int, re.search(r"--array=(\d+)-(\d+)$", BLOCKS["shard.sh"], re.M).groups())  # type: ignore[union-attr]
    common = {"MIN": first, "MAX": last, "COUNT": last - first + 1, "STEP": 1}
    for task in (first, last):
        variables = {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in {**common, "ID": task}.items()}
        (call,) = printed(BLOCKS["shard.sh"], tmp_path, **variables)
        assert f"--shard {task}/8 --benchmark-json shard{task}.json" in call
    subprocess.run(["bash", "-n"], input=BLOCKS["submit.sh"], text=True, check=True)


def test_each_pod_of_kubernetes_is_another_shard(tmp_path: Path) -> None:
    job = yaml.safe_load(BLOCKS["torchduet-job.yaml"])
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    assert spec.keys() == {"completions", "parallelism", "completionMode", "backoffLimit", "template"}
    assert spec["completionMode"] == "Indexed"
    assert pod.keys() == {"restartPolicy", "affinity", "containers", "volumes"}
    assert pod["restartPolicy"] in ("Never", "OnFailure")  # a Job takes no other
    (container,) = pod["containers"]
    assert container.keys() == {"name", "image", "command", "args", "env", "resources", "volumeMounts"}
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    assert environment["TORCHDUET_SHARD_TOTAL"] == str(spec["completions"])
    assert container["command"] == ["sh", "-c"]
    for index in (0, spec["completions"] - 1):
        (call,) = printed(container["args"][0], tmp_path, JOB_COMPLETION_INDEX=str(index), **environment)
        assert f"--shard {index + 1}/8 --benchmark-json /results/shard{index}.json" in call


@pytest.mark.parametrize("name", ["TORCHDUET_SHARD_INDEX", "CI_NODE_INDEX", "BUILDKITE_PARALLEL_JOB_COUNT"])
def test_the_table_names_the_variables(name: str) -> None:
    assert f"`{name}`" in PAGE
