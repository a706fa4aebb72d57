"""The page on several machines: what stands on its first screen, hostile names, hundreds of columns, its size."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.browser.pages import HOSTILE
from tests.reports.many import make_many
from tests.reports.on_machines import EPYC, H200, XEON, disturbed, epyc, h200, on, records, xeon
from tests.reports.sample import make_run
from tests.reports.with_gpu import make_gpu_run
from torchduet.bench.record.schema import KEY
from torchduet.reports.machines.brief import markdown
from torchduet.reports.machines.comparison import comparison
from torchduet.reports.machines.packed import MAX_CELLS, MIN_ROWS, packed, window
from torchduet.reports.machines.page import page
from torchduet.reports.machines.prices import Prices
from torchduet.reports.machines.tables import tables
from torchduet.reports.machines.text import terminal
from torchduet.reports.read.run_file import from_json


@pytest.fixture(scope="module")
def whole() -> str:
    """Three machines, one with a GPU, with prices and energy."""
    runs = [epyc(joules=lambda _: 2.0), xeon(joules=lambda _: 1.0), h200()]
    return page(runs, Prices({"EPYC": 0.2, "H200": 3.5, "TPU": 1.0}, "EUR", "pyproject.toml"))


def plain(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html))


def test_the_answer_comes_first_and_no_method_before_the_chart(whole: str) -> None:
    head, _, rest = whole.partition("</header>")
    words = plain(head.partition("<body>")[2])
    assert "AMD EPYC 7763 is the fastest in" in words
    assert words.index("is the fastest in") < words.index("Costs least") < words.index("Least energy")
    assert "interval" not in words
    assert rest.index('<table class="heat') < rest.index("Two machines are compared") < rest.index("How to read this")


def test_every_section_has_its_heading_and_is_led_to(whole: str) -> None:
    led_to = re.findall(r'<a href="#([a-z]+)">', whole.partition("</nav>")[0])
    sections = ("answers", "machines", "knobs", "cases", "effects", "cost", "energy", "gaps", "reading")
    assert tuple(led_to) == sections
    for anchor in led_to:
        assert f'<section id="{anchor}"' in whole


def test_a_lead_is_marked_by_sign_and_word(whole: str) -> None:
    row = whole[whole.index('<section id="cases"') :]
    row = row[row.index("ops.add[n=65536] eager fp32") :].partition("</tr>")[0]
    assert '<span aria-hidden="true">★ </span>' in row
    assert '<span class="hidden"> fastest</span>' in row
    assert "1.30× as long" in row
    assert row.count("★") == 1


def test_missing_times_have_their_reasons(whole: str) -> None:
    gaps = plain(whole[whole.index('<section id="gaps"') : whole.index('<section id="reading"')])
    assert "55 cases" in gaps
    assert "not selected in this run" in gaps
    assert gaps.count("wrong result: relative error 0.31 exceeds the tolerance 0.02") == 1  # of all three
    assert gaps.index("On every machine") < gaps.index("wrong result") < gaps.index("NVIDIA H200")


def test_the_page_says_what_differs_and_what_cannot_be_concluded(whole: str) -> None:
    words = plain(whole)
    assert "a lead says how these machines did" in words
    assert "What cannot be concluded" in words
    assert "Note: pyproject.toml: no machine matches TPU." in words
    newer = page([epyc(), xeon(torch="2.13.0")])
    assert "Versions differ (PyTorch): a lead may come from them" in plain(newer)


def test_a_machine_that_was_disturbed_is_named() -> None:
    made = on(make_run(), cpu=XEON)
    made[KEY]["noise"] = {"grade": "disturbed", "causes": []}
    made[KEY]["stopped"] = "stopped by Ctrl-C"
    words = plain(page([epyc(), from_json(made)]))
    assert words.count("Intel Xeon was disturbed while measuring") == 2  # at the top, and with what follows from it
    assert "The run on Intel Xeon ended early: stopped by Ctrl-C." in words


def test_a_machine_that_was_merely_noisy_is_named_among_the_cautions() -> None:
    made = on(make_run(), cpu=XEON)
    made[KEY]["noise"] = {"grade": "noisy", "causes": []}
    noisy = from_json(json.loads(json.dumps(made)))
    cautions = comparison([epyc(), noisy]).cautions
    (caution,) = [caution for caution in cautions if "noisy" in caution]
    assert caution.startswith("Intel Xeon was noisy while measuring: another run may give other times.")
    assert caution in plain(page([epyc(), noisy]))
    made[KEY]["noise"]["grade"] = "disturbed"  # of two runs of a machine the noisier counts
    assert not any("noisy" in caution for caution in comparison([epyc(), noisy, from_json(made)]).cautions)
    assert not any("noisy" in caution for caution in comparison([epyc(), xeon()]).cautions)


def test_a_disturbance_stands_at_the_top_and_leads_to_what_follows_from_it() -> None:
    runs = [disturbed(f"{name}: a", 1.0, wide=1.1) for name in ("CPU", "<b>")]
    html = page(runs)
    top = html.partition("<h1>")[2].partition("</header>")[0]
    assert '<a href="#cautions">CPU: a and &lt;b&gt;: a were disturbed while measuring</a>' in top
    listed = html.partition('<ul class="causes" id="cautions">')[2].partition("</ul>")[0]
    assert "were disturbed while measuring: the times may be too long." in listed
    alone = page(runs[:1]).partition("</header>")[0]
    assert '<a href="#machines">CPU: a was disturbed while measuring</a>' in alone
    assert "disturbed" not in page([epyc(), xeon()])
    of = comparison(runs)
    for lines in (terminal(of).splitlines(), [line for line in markdown(of).splitlines() if line]):
        assert "were disturbed while measuring: the times may be too long." in lines[1]
        assert sum("were disturbed" in line for line in lines) == 1


def test_the_title_of_the_page_is_the_answer() -> None:
    html = page([epyc(), xeon()])
    assert f"<title>{EPYC} is the fastest in 56 of 56 cases – Torchduet</title>" in html
    html = page([disturbed(EPYC, 9.0, wide=99.0), disturbed(XEON, 1.0, wide=99.0)])
    assert "<title>Too close to call in 56 cases: no machine is surely the fastest – Torchduet</title>" in html


def test_no_figure_is_missing_or_not_a_number(whole: str) -> None:
    assert not re.search(r"\b(nan|inf|None|undefined)\b", whole.partition("<script")[0])


def test_one_machine_and_machines_with_nothing_in_common_have_a_page() -> None:
    assert "Name runs of other machines, too" in page([epyc()])
    empty = on(make_run(), cpu=XEON) | {"benchmarks": []}
    words = page([epyc(), from_json(empty)])
    assert "No two machines measured the same case" in words
    assert "Nothing was measured" in page([from_json(on(empty, cpu=name)) for name in ("a", "b")])


def test_hostile_names_are_escaped_wherever_they_stand() -> None:
    text = json.dumps(make_run())
    for name in ("square", "mlp", "compile-model"):
        text = text.replace(name, json.dumps(f"{HOSTILE}</script><!--{name}")[1:-1])
    document = json.loads(text)
    runs = [from_json(on(document, cpu=f"{HOSTILE}{name}")) for name in "ab"]
    html = page(runs, Prices({HOSTILE: 1.0}, "<b>", HOSTILE))
    body = html.partition("<body>")[2]
    assert "<img" not in body
    assert body.count("</script>") == 2
    assert "<b>" not in body
    assert "&lt;img src=x" in body


def small_run(name: str, factor: float) -> Any:
    return from_json(on(make_gpu_run(), cpu=name, factor=factor))


def test_hundreds_of_machines_have_a_column_each() -> None:
    runs = [small_run(f"CPU {number}", 1 + number / 5) for number in range(200)]
    html = page(runs)
    assert html.count('<th scope="col" class="num" data-key="machine-') >= 200
    assert "CPU 0 is the fastest in" in html


def test_a_large_table_is_written_in_part_and_packed_whole() -> None:
    many = make_many(500, placements=2)
    runs = [from_json(on(many, cpu=f"CPU {number}")) for number in range(8)]
    found = tables(comparison(runs))
    (cases,) = [table for table in found if table.key == "cases"]
    assert window(cases) == min(100, MAX_CELLS // 8)
    data = json.loads(str(packed(found)))
    assert len(data["tables"]["cases"]["rows"]) == 500
    name, _, filters, cells = data["tables"]["cases"]["rows"][7]
    assert name == cases.entries[7].name
    assert [data["texts"][at] for at in filters] == list(cases.entries[7].filters.values())
    assert [data["texts"][cell[1]] for cell in cells] == [cell.text for cell in cases.entries[7].cells]
    assert window(tables(comparison(runs[:2]))[0]) == 0


def test_many_columns_leave_few_rows_written() -> None:
    many = make_many(60, placements=2)
    runs = [from_json(on(many, cpu=f"CPU {number}")) for number in range(100)]
    assert window(tables(comparison(runs))[0]) == MAX_CELLS // 100 > MIN_ROWS


def test_a_machine_without_any_facts_has_a_name() -> None:
    nothing = on(make_run())
    nothing[KEY]["machine"] = {}
    assert "unknown machine" in page([epyc(), xeon(), from_json(nothing)])


def test_a_record_without_an_interval_is_shown() -> None:
    made = on(make_run(), cpu=XEON, factor=3.0)
    for record in records(made):
        record["timing"] |= {"low": None, "high": None}
    of = comparison([epyc(), from_json(made), h200(gpu=H200, cpu=EPYC)])
    assert of.time.wins[0] > 40
