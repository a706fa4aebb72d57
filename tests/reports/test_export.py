"""``torchduet export``: tables that read back as they were, and that no spreadsheet runs as formulas."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reports.plain_sample import make_plain
from tests.reports.sample import make_run
from tests.reports.several import several
from tests.reports.test_duet import make_duet
from tests.reports.with_gpu import make_kernels_run
from torchduet.__main__ import main
from torchduet.bench.record.schema import KEY
from torchduet.reports.commands.export import as_parquet
from torchduet.reports.read.pytest_benchmark import from_pytest_benchmark
from torchduet.reports.read.run_file import Run, from_json
from torchduet.reports.tables.csv import FORMULA, as_csv, escape_formula
from torchduet.reports.tables.flat import table_of
from torchduet.reports.tables.flat_columns import COLUMNS
from torchduet.reports.tables.frames import frames
from torchduet.suites.extras import install

ROOT = Path(__file__).parents[2]


def read_csv(text: str, like: pd.DataFrame) -> pd.DataFrame:
    """CSV with the types that the table had; an empty cell of text is no text."""
    texts = {name: "str" for name in like if like[name].dtype.name in ("str", "category")}
    others = {name: like[name].dtype for name in like if name not in texts}
    missing = {name: [""] for name in others}
    return pd.read_csv(io.StringIO(text), dtype=texts | others, keep_default_na=False, na_values=missing)


def plain_text(table: pd.DataFrame) -> pd.DataFrame:
    """The table with text for categories, and empty text for missing ones: as CSV can tell them."""
    made = table.copy()
    for name in made:
        if made[name].dtype.name in ("str", "category"):
            made[name] = made[name].astype("str").fillna("")
    return made


@pytest.mark.parametrize("name", COLUMNS)
def test_csv_and_parquet_read_back_equal_the_table(name: str, rich: Run) -> None:
    table = table_of(rich, name)
    pd.testing.assert_frame_equal(read_csv(as_csv(table), table), plain_text(table))
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(as_parquet(table))), table)


@pytest.mark.parametrize("name", ["cases", "samples", "unmeasured"])
def test_tables_of_a_run_with_ranks_read_back_too(name: str) -> None:
    table = table_of(from_json(several()), name)
    pd.testing.assert_frame_equal(read_csv(as_csv(table), table), plain_text(table))
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(as_parquet(table))), table)


@pytest.mark.parametrize("name", ["cases", "samples", "unmeasured"])
def test_tables_of_a_plain_run_read_back_too(name: str) -> None:
    table = table_of(from_pytest_benchmark(make_plain()), name)
    pd.testing.assert_frame_equal(read_csv(as_csv(table), table), plain_text(table))
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(as_parquet(table))), table)


def test_cases_are_those_of_the_report(rich: Run) -> None:
    table, shown = table_of(rich, "cases"), frames(rich).cases
    for exported, name in (("seconds", "seconds"), ("seconds_low", "low"), ("ratio", "ratio"), ("low", "ratio_low")):
        assert table[exported].tolist() == pytest.approx(shown[name].astype(float).tolist(), nan_ok=True)
    assert table["id"].tolist() == [record["case"]["id"] for record in rich.records]
    assert table["verdict"].tolist() == shown["verdict"].tolist()


def test_comparisons_are_those_of_the_report(rich: Run) -> None:
    table, shown = table_of(rich, "comparisons"), frames(rich).comparisons
    assert table["ratio"].tolist() == shown["ratio"].tolist()
    assert table["name"].tolist() == shown["name"].tolist()


def test_every_block_is_a_sample_in_the_order_taken(run: Run) -> None:
    table = table_of(run, "samples")
    expected = [
        (record["case"]["id"], placement, place, seconds)
        for record in run.records
        for placement, rounds in enumerate(record["timing"]["blocks"], 1)
        for place, seconds in enumerate(rounds, 1)
    ]
    assert list(zip(table["id"], table["placement"], table["round"], table["seconds"], strict=True)) == expected


def test_samples_name_their_visit_and_comparisons_how_many_there_were(run: Run) -> None:
    table = table_of(run, "samples")
    first = table[table["id"] == run.records[0]["case"]["id"]]
    assert first.groupby("visit")["placement"].unique().map(list).to_dict() == {
        1: [1, 2, 3],
        2: [4, 5, 6],
        3: [7, 8, 9],
        4: [10, 11, 12],
    }
    assert set(table_of(run, "cases")["visits"]) == {4}
    comparisons = table_of(run, "comparisons")
    assert set(comparisons["visits"]) == {4}
    assert (comparisons["deviation"] > 0).all()


def test_a_file_without_visits_has_empty_columns_for_them() -> None:
    older = from_json(make_run(visits=0))
    for name in ("cases", "comparisons", "samples"):
        table = table_of(older, name)
        column = "visit" if name == "samples" else "visits"
        assert str(table[column].dtype) == "Int64"
        assert table[column].isna().all()
        pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(as_parquet(table))), table)


def test_sizes_become_a_column_per_axis(run: Run) -> None:
    table = table_of(run, "cases")
    assert {"size_n", "size_spec", "size_layers", "size_batch"} <= set(table)
    for record, row in zip(run.records, table.to_dict("records"), strict=True):
        for axis in ("n", "spec", "layers", "batch"):
            value = row[f"size_{axis}"]
            assert record["case"]["size"].get(axis) == (None if pd.isna(value) else value)


def test_an_axis_of_numbers_and_words_is_one_of_text(document: Any) -> None:
    document["benchmarks"][0]["extra_info"][KEY]["case"]["size"]["n"] = "many"
    table = table_of(from_json(document), "cases")
    assert table["size_n"].tolist()[:2] == ["many", "65536"]
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(as_parquet(table))), table)


def test_what_was_not_measured_is_a_table_of_its_own(run: Run) -> None:
    table = table_of(run, "unmeasured")
    assert table["status"].tolist() == ["failed", "skipped"]
    assert "wrong result" in table["reason"][0]


def test_both_sides_of_a_duet_are_in_the_tables(shared_document: Any) -> None:
    run = from_json(make_duet(shared_document))
    found = table_of(run, "comparisons").query("knob == 'side'")
    assert found["verdict"].tolist() == [record["against"]["verdict"] for record in run.records]
    assert set(table_of(run, "samples")["side"]) == {"", "base", "new"}


def test_a_knob_is_exported_from_the_side_that_has_it(shared_document: Any) -> None:
    document = make_duet(shared_document)
    duet = document[KEY]["against"]
    duet["base"] |= {key: duet["against"].get(key) for key in ("python", "torch", "rev")} | {"env": {"X": "1"}}
    duet["base"]["label"], duet["against"]["label"] = "X=1", "without X"
    duet["against"]["env"] = {}
    run = from_json(document)
    found = table_of(run, "comparisons").query("knob == 'side'")
    assert set(found["value"]) == {"X=1"}
    assert set(found["baseline"]) == {"without X"}
    assert found["ratio"].tolist() == [pytest.approx(1 / record["against"]["ratio"]) for record in run.records]
    samples = table_of(run, "samples")
    of_new = samples[samples["side"] == "new"]["seconds"].iloc[0]
    assert of_new == run.records[0]["against"]["base_blocks"][0][0]  # the file's first side has the variable


def test_a_run_in_which_nothing_was_measured_has_tables_without_rows(run: Run) -> None:
    empty = Run(run.name, run.about, ())
    for name in COLUMNS:
        table = table_of(empty, name)
        assert as_csv(table).startswith("run,started,machine,id,")
        assert list(pd.read_parquet(io.BytesIO(as_parquet(table)))) == list(table)


def test_every_column_is_described_and_every_table_has_the_columns_it_should(rich: Run) -> None:
    plain, ranked, duet = from_pytest_benchmark(make_plain()), from_json(several()), from_json(make_duet(make_run()))
    for name, columns in COLUMNS.items():
        described = {*columns}
        exported = {column for column in table_of(rich, name) if not column.startswith("size_")}
        exported |= {column for column in table_of(plain, name) if not column.startswith("size_")}
        exported |= {column for column in table_of(ranked, name) if not column.startswith("size_")}
        exported |= {column for column in table_of(duet, name) if not column.startswith("size_")}
        assert exported == described - {"size_*"}


@given(st.text(max_size=20))
def test_no_text_begins_a_formula_and_all_can_be_had_back(text: str) -> None:
    safe = escape_formula(text)
    assert safe[:1] not in {*"=+-@\t\r\n＝＋－＠"} or not safe
    assert (safe[1:] if FORMULA.match(safe) else safe) == text


@pytest.mark.parametrize("name", ['=HYPERLINK("http://x","y")', "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1"])
def test_a_hostile_name_is_no_formula_in_csv_and_itself_in_parquet(name: str, document: Any) -> None:
    case = document["benchmarks"][0]["extra_info"][KEY]["case"]
    case["workload"] = case["id"] = name
    case["size"] = {name: name}
    table = table_of(from_json(document), "cases")
    lines = pd.read_csv(io.StringIO(as_csv(table)), dtype="str", keep_default_na=False)
    assert lines["id"][0] == lines["workload"][0] == f"'{name}"
    assert not [cell for cell in [*lines, *lines.to_numpy().ravel()] if cell[:1] in "=+@\t" and cell]
    assert pd.read_parquet(io.BytesIO(as_parquet(table)))["id"][0] == name


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=12))
def test_any_name_survives_both_formats(name: str) -> None:
    document = make_plain(functions=("test_a", "test_b"))
    document["benchmarks"][0].update(fullname=name, name=name, params={name: name})
    table = table_of(from_pytest_benchmark(document), "cases")
    read = pd.read_csv(io.StringIO(as_csv(table)), dtype="str", keep_default_na=False, lineterminator="\n")
    assert read["id"][0] == escape_formula(name)
    assert pd.read_parquet(io.BytesIO(as_parquet(table)))["id"][0] == name


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_export_writes_the_file_and_says_where(kind: str, run_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = run_file.parent / f"cases.{kind}"
    assert main(["export", str(run_file), "-o", str(output)]) == 0
    assert capsys.readouterr().out == f"{output}\n"
    read = pd.read_csv(output) if kind == "csv" else pd.read_parquet(output)
    assert len(read) == 56
    assert {path.name for path in run_file.parent.iterdir()} == {"run.json", output.name}


def test_without_a_file_csv_goes_to_stdout(run_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(run_file), "--table", "unmeasured"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "run,started,machine,id,status,reason"
    assert len(out.splitlines()) == 3


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ("cases.xlsx", "neither .csv nor .parquet"),
        ("cases", "neither .csv nor .parquet"),
        ("none/cases.csv", "there is no folder"),
        ("folder.csv", "is a directory; name a file in it, e.g. -o folder.csv/cases.csv"),
        ("run.csv", "is the run's own file"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused(
    output: str, says: str, run_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run_file.parent)
    (run_file.parent / "folder.csv").mkdir()
    (run_file.parent / "run.csv").symlink_to("run.json")
    before = run_file.read_bytes()
    assert main(["export", "run.json", "-o", output]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.count("\n") == 1
    assert run_file.read_bytes() == before


def test_parquet_without_pyarrow_says_what_to_install(
    run_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchduet.reports.commands.export.find_spec", lambda _: None)
    assert main(["export", str(run_file), "-o", str(run_file.parent / "c.parquet")]) == 2
    assert install("parquet") in capsys.readouterr().err
    assert not (run_file.parent / "c.parquet").exists()


def test_what_a_plain_run_has_not_is_refused_or_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = make_plain(data=False)
    path = tmp_path / "p.json"
    path.write_text(json.dumps(document))
    assert main(["export", str(path), "--table", "comparisons"]) == 2
    assert "compares nothing" in capsys.readouterr().err
    assert main(["export", str(path), "--table", "samples"]) == 2
    assert "--benchmark-save-data" in capsys.readouterr().err
    document["benchmarks"][0] = make_plain()["benchmarks"][0]
    path.write_text(json.dumps(document))
    assert main(["export", str(path), "--table", "samples"]) == 0
    assert "17 of 18 benchmarks hold no rounds" in capsys.readouterr().err


def test_columns_are_listed_without_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["export", "--columns"])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert "seconds_low" in out
    assert all(f"{table}:" in out for table in COLUMNS)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["export"], ["render", "--markdown", "-"], ["claims"]])
def test_a_full_disk_behind_stdout_is_one_line(arguments: list[str], run_file: Path) -> None:
    command = [sys.executable, "-m", "torchduet", arguments[0], str(run_file), *arguments[1:]]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: standard output cannot be written: No space left on device\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_device_is_one_line(run_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    link = run_file.parent / "full.csv"
    link.symlink_to("/dev/full")
    assert main(["export", str(run_file), "-o", str(link)]) == 2
    assert "cannot be written: No space left on device" in capsys.readouterr().err


def test_a_disk_that_fills_while_writing_leaves_the_older_file(
    run_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = run_file.parent / "c.parquet"
    output.write_bytes(b"older")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert main(["export", str(run_file), "-o", str(output)]) == 2
    assert "No space left" in capsys.readouterr().err
    assert output.read_bytes() == b"older"
    assert {path.name for path in run_file.parent.iterdir()} == {"run.json", "c.parquet"}


def test_a_gpus_own_times_and_the_kernels_speed_ups_are_exported() -> None:
    run = from_json(make_kernels_run(), "run.json")
    cases = table_of(run, "cases")
    assert cases["device_seconds"].gt(0).all()
    assert set(cases["sustained_sm_mhz"].dropna()) == {1980, 1755}
    of_both = table_of(run, "comparisons").query("kernel_verdict == 'faster' and verdict == 'same'")
    assert of_both["kernel_ratio"].between(1.88, 1.9).any()
