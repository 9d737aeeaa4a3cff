"""Transforms from Python: how they are written, and functions that the real engine runs over real files."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import Any

import checkvalve
import pytest
from airflow.providers.common.compat.sdk import AirflowException
from airflow.sdk import DAG
from checkvalve import python_transform
from checkvalve.airflow import (
    CheckvalveBatchOperator,
    CheckvalveFinishOperator,
    CheckvalvePlanOperator,
    CheckvalveSyncOperator,
    checkvalve_task_group,
    dags_from_config,
)
from checkvalve.transform import transform_text

from servers.openssh import SshServer

from .conftest import Execution
from .test_engine import fill
from .test_operators import endpoints, names

FILTERS = """
import os
from pathlib import Path

def upper(chunks, suffix=""):
    for chunk in chunks:
        print("a print does not get among the bytes")
        yield chunk.upper()
    yield suffix.encode()

def whole(chunks):
    return [os.environ["CHECKVALVE_PATH"].encode(), b" ", *chunks]

def first_byte(chunks):
    yield next(chunks)[:1]

def picky(chunks):
    for chunk in chunks:
        if b"bad" in chunk:
            raise ValueError("there is something bad in it")
        yield chunk

def text(chunks):
    yield "text"

def nothing(chunks):
    pass

def measured(chunks, report):
    yield from chunks
    status = Path("/proc/self/status").read_text()
    Path(report).write_text(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))

number = 3
"""


@pytest.fixture
def filters(place: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that only this process's path leads to, as that of a DAG file's neighbour."""
    (place / "dags" / "house").mkdir(parents=True)
    (place / "dags" / "house" / "filters.py").write_text(FILTERS)
    monkeypatch.syspath_prepend(str(place / "dags"))
    return "house.filters"


def sync(place: Path, *transforms: Any, **options: Any) -> checkvalve.Operation:
    return checkvalve.sync(
        f"file://{place}/source",
        f"file://{place}/target",
        checkvalve.JobOptions(transforms=transforms, **options),
        state=str(place / "s.db"),
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in names(folder)}


@pytest.mark.parametrize(
    ("transform", "text"),
    [
        ("redact pattern='a b'", "redact pattern='a b'"),
        ({"name": "gzip"}, "gzip"),
        ({"name": "gzip", "level": 9}, 'gzip level="9"'),
        ({"name": "csv", "select": ["id", 'a"b'], "rejects": True}, r'csv select="[\"id\", \"a\\\"b\"]" rejects="yes"'),
    ],
)
def test_ways_to_write_a_transform(transform: Any, text: str) -> None:
    assert transform_text(transform) == text


def test_a_function_is_named_when_the_dag_is_read_and_found_when_it_runs() -> None:
    transform = python_transform("house.filters:upper", options={"timeout": "5m"}, suffix='"quoted" \\ back')
    text = transform_text(transform)
    assert text.startswith('exec timeout="5m" command="[')
    assert sys.executable in text
    for wrong in ("house.filters", "house.filters:", "house filters:upper", ":upper"):
        with pytest.raises(ValueError, match=r"invalid function .* expected MODULE:FUNCTION"):
            python_transform(wrong)
    with pytest.raises(ValueError, match="transform without a name"):
        transform_text({"level": 9})


def test_a_chain_of_all_kinds(place: Path, filters: str) -> None:
    fill(place / "source", ["a.txt", "b/c.txt"], 1_000_000)
    (place / "source" / "empty.txt").touch()
    suffix = "' \" \\ {x} ü"
    with sync(place, python_transform(f"{filters}:upper", suffix=suffix), {"name": "gzip", "level": 1}) as run:
        assert run.result().files_copied == 3
    made = {name.removesuffix(".gz"): gzip.decompress(content) for name, content in contents(place / "target").items()}
    wanted = contents(place / "source")
    assert made == {name: content.upper() + suffix.encode() for name, content in wanted.items()}
    with sync(place, python_transform(f"{filters}:upper", suffix=suffix), "gzip level=1") as run:
        assert (run.result().files_copied, run.summary.files_skipped if run.summary else 0) == (0, 3)


def test_functions_may_return_a_list_and_may_stop_early(place: Path, filters: str) -> None:
    fill(place / "source", ["a.txt"], 5_000_000)
    with sync(place, python_transform(f"{filters}:first_byte"), python_transform(f"{filters}:whole")) as run:
        run.result()
    assert contents(place / "target") == {"a.txt": b"a.txt a"}


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("picky", r"house\.filters:picky: ValueError: there is something bad in it \(.*filters\.py, line 20\)"),
        ("text", "house.filters:text: TypeError: function yielded str: expected bytes"),
        ("nothing", "house.filters:nothing: TypeError: function returned NoneType: expected an iterable of bytes"),
        ("missing", "house.filters:missing: module 'house.filters' has no attribute 'missing'"),
        ("number", "house.filters:number: not a function but int"),
    ],
)
def test_what_a_function_does_wrong_fails_its_file(place: Path, filters: str, function: str, message: str) -> None:
    (place / "source" / "a.txt").write_bytes(b"bad")
    with (
        sync(place, python_transform(f"{filters}:{function}")) as run,
        pytest.raises(checkvalve.PermanentError, match=message),
    ):
        run.result()
    assert names(place / "target") == []


def test_a_module_that_is_not_there_is_named(place: Path) -> None:
    fill(place / "source", ["a.txt"])
    with (
        sync(place, python_transform("no_such_house.filters:upper")) as run,
        pytest.raises(checkvalve.PermanentError, match=r"exited with code 2; stderr: no_such_house\.filters:upper: No"),
    ):
        run.result()


def test_memory_stays_the_same_for_any_size(place: Path, filters: str) -> None:
    with (place / "source" / "large.bin").open("wb") as file:
        for number in range(256):
            file.write(bytes([number]) * (1 << 20))
    with sync(place, python_transform(f"{filters}:measured", report=str(place / "peak"))) as run:
        assert run.result().bytes_copied == 256 << 20
    assert int((place / "peak").read_text()) * 1024 < 48 << 20
    assert (place / "target" / "large.bin").stat().st_size == 256 << 20


@pytest.mark.usefixtures("sftp")
class TestOperators:
    def test_sync(self, place: Path, execution: Execution, filters: str) -> None:
        fill(place / "source", ["a.txt"])
        (place / "source" / "b.txt").write_bytes(b"bad")
        chain = [python_transform(f"{filters}:picky"), python_transform(f"{filters}:upper"), "gzip"]
        options = checkvalve.JobOptions(transforms=chain)
        with pytest.raises(AirflowException, match=r"1 file not copied: .*b\.txt.*something bad"):
            execution.run(CheckvalveSyncOperator(task_id="sync", options=options, **endpoints(place)))
        made = contents(place / "target")
        assert {name: gzip.decompress(content) for name, content in made.items()} == {
            "a.txt.gz": (place / "source/a.txt").read_bytes().upper()
        }

    def test_plan_batches_and_comparison(self, place: Path, execution: Execution, filters: str) -> None:
        """The plan holds the chain: the batches run it without being given it, and find the function."""
        fill(place / "source", [f"{number}.txt" for number in range(6)])
        chain = [python_transform(f"{filters}:upper"), {"name": "gzip", "level": 9}]
        options = checkvalve.JobOptions(transforms=chain, batch_files=4)
        logins = {"source_conn_id": "source", "target_conn_id": "target"}
        plan = CheckvalvePlanOperator(task_id="plan", options=options, **endpoints(place))
        for reference in execution.run(plan):
            execution.run(CheckvalveBatchOperator(task_id="copy", batch=reference, **logins))
        finish = CheckvalveFinishOperator(
            task_id="finish", plan_task_id="plan", compare="size", options=options, **endpoints(place)
        )
        assert execution.run(finish)["files_copied"] == 6
        assert gzip.decompress((place / "target/3.txt.gz").read_bytes()).startswith(b"3.TXT")
        assert execution.run(plan) == []
        (place / "target/3.txt.gz").unlink()
        with pytest.raises(AirflowException, match=r"1 file different at the target: 3\.txt"):
            execution.run(finish)

    def test_a_configured_job_has_its_own(self, place: Path, execution: Execution, sftp: SshServer) -> None:
        fill(place / "source/2024-03-01", ["a.txt"])
        config = place / "jobs.toml"
        config.write_text(
            f'[job.daily]\nsource = "{sftp.url(place / "source")}/{{date}}"\ntarget = "{sftp.url(place / "target")}"\n'
            '[[job.daily.transform]]\nname = "redact"\npattern = "a"\nwith = "{date}"\n'
            '[[job.daily.transform]]\nname = "gzip"\n[airflow.daily]\nstrategy = "single"\n'
            'source_conn_id = "source"\ntarget_conn_id = "target"\n'
        )
        task = dags_from_config(str(config))["daily"].get_task("checkvalve.sync")
        task.date = "2024-03-01"
        assert task.get_openlineage_facets_on_start() is None
        execution.run(task)
        lineage = task.get_openlineage_facets_on_complete(None)
        assert (lineage.inputs[0].namespace, lineage.inputs[0].name) == (
            f"sftp://127.0.0.1:{sftp.port}",
            f"{place}/source/2024-03-01",
        )
        assert lineage.outputs[0].outputFacets["outputStatistics"].fileCount == 1
        assert gzip.decompress((place / "target/a.txt.gz").read_bytes()).startswith(b"2024-03-01.txt")


def test_the_task_group_hands_the_chain_on() -> None:
    ends = {"source_conn_id": "s", "source_path": "a", "target_conn_id": "t", "target_path": "b"}
    chain = [{"name": "lines", "keep": "^{{ ds }}"}, "gzip"]
    options = checkvalve.JobOptions(transforms=chain, include=["{{ ds }}/*"], min_age="5m")
    with DAG("d", schedule=None) as dag:
        checkvalve_task_group("many", options=options, compare="size", **ends)
        checkvalve_task_group("one", strategy="single", options=options, **ends)
        with pytest.raises(ValueError, match=r"task 'no\.finish': compare='checksum' is not possible with transforms"):
            checkvalve_task_group("no", options=options, compare="checksum", **ends)
    for task_id in ("many.plan", "many.finish", "one.sync"):
        task = dag.get_task(task_id)
        assert task.options.transforms == chain
        task.render_template_fields({"ds": "2024-03-01"})
        assert task.options.transforms[0] == {"name": "lines", "keep": "^2024-03-01"}
        assert (task.options.include, task.options.min_age) == (["2024-03-01/*"], "5m")
    assert options.include == ["{{ ds }}/*"], "tasks render copies: the object is shared"


@pytest.mark.usefixtures("sftp")
def test_braces_in_paths_and_names_are_braces(place: Path, execution: Execution) -> None:
    """On the command line they would stand for a date."""
    odd = "a {date} {b}} {{c %7Bd%7D"
    fill(place / "source" / odd, [f"{odd}.txt", "{x}/{y}.txt"])
    paths = {"source_path": f"{place}/source/{odd}", "target_path": f"{place}/target/{odd}"}
    parameters = {**endpoints(place), **paths}
    execution.run(CheckvalveSyncOperator(task_id="sync", **parameters))
    assert names(place / "target" / odd) == sorted([f"{odd}.txt", "{x}/{y}.txt"])
    ends_of_files = (f"{place}/source/{odd}", f"{place}/other/{odd}")
    with checkvalve.sync(*ends_of_files, state=str(place / "s.db")) as run:
        assert run.result().files_copied == 2
    assert checkvalve.verify(*ends_of_files, state=str(place / "s.db")).files_compared == 2
