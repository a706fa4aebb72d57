"""The sections of a run's report in the order of the page: the data of each, and its template.

To add one, write its template and the function that gathers its data, and add a line to ``SECTIONS``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from torchduet.bench.record.knobs import IMPLEMENTATION
from torchduet.reports.findings import duet, gpu
from torchduet.reports.findings.advice import Answer
from torchduet.reports.findings.compiling import compiling
from torchduet.reports.findings.headline import Headline
from torchduet.reports.findings.loaders import Choice
from torchduet.reports.findings.merged import merged
from torchduet.reports.findings.noise import noise
from torchduet.reports.findings.trust import trust
from torchduet.reports.findings.unmeasured import unmeasured
from torchduet.reports.findings.visits import visits
from torchduet.reports.html import sections
from torchduet.reports.html.case_details import packed_details
from torchduet.reports.html.figures import loader_panels, scalings
from torchduet.reports.html.first_screen import first_screen
from torchduet.reports.html.processes import processes
from torchduet.reports.html.rows_chart import rows_chart
from torchduet.reports.profile.section import section as profiles
from torchduet.reports.profile.stacks import Stacks, stacks
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import Frames
from torchduet.reports.text.settings import SETTABLE

FILTERS = ("suite", *SETTABLE, "verdict")
MAX_PROFILES = 2  # on the first screen: an eager and a compiled case


@dataclass(frozen=True)
class Sources:
    """The data that sections are built from: the run, and what several of them need of it."""

    run: Run
    tables: Frames
    answers: Sequence[Answer]
    choices: Sequence[Choice]
    headline: Headline


@dataclass(frozen=True)
class Section:
    """One section of the page.

    Attributes:
        id: its anchor.
        title: its text in the navigation, or a function of its data that gives it; empty: not listed there.
        name: of its data in all templates; the value is None where the section is left out.
        data: gathers what the section shows; None leaves the section out of this page.
        template: shows it.
    """

    id: str
    title: str | Callable[[Any], str]
    name: str
    data: Callable[[Sources], Any]

    @property
    def template(self) -> str:
        """A file among the templates, named for the section."""
        return f"{self.id}.html.j2"

    def heading(self, data: Any) -> str:
        """Its text in the navigation."""
        return self.title if isinstance(self.title, str) else self.title(data)


def _answers(sources: Sources) -> list[dict[str, Any]] | None:
    """Each answer with its forest plot; None for a duet, which is an answer itself."""
    if not sources.answers and "against" in sources.run.about:
        return None
    return [
        {"answer": answer, "chart": rows_chart(answer.rows), "link": _filter_link(answer)} for answer in sources.answers
    ]


def _filter_link(answer: Answer) -> str:
    """The fragment that shows an answer's cases in the tables; empty where no filter selects them."""
    if answer.knob in FILTERS and answer.value:
        return urlencode({answer.knob: answer.value})
    return urlencode({"q": answer.value}) if answer.knob == IMPLEMENTATION and answer.value else ""


def _loaders(sources: Sources) -> dict[str, Any] | None:
    choices = sources.choices
    if not choices:
        return None
    anchors = dict(zip(sources.tables.cases["id"], sources.tables.cases["anchor"], strict=True))
    return {"choices": choices, "charts": loader_panels(choices, anchors)}


def _first(sources: Sources) -> Any:
    """What stands above everything else; a duet has its own answer there, and below it the heat map if there is one."""
    screen = first_screen(sources.run, sources.tables, sources.headline, sources.answers)
    if "against" in sources.run.about and (screen is None or screen.heat is None):
        return None
    return screen


SECTIONS = (
    Section("duet", "Answer", "duet", lambda of: duet.section(of.run)),
    Section("glance", "", "first", _first),
    Section("answers", "Answers", "answers", _answers),
    Section("profiles", "Where the time goes", "profiling", lambda of: profiles(of.run) or None),
    Section("paths", "Step by step", "paths", lambda of: sections.paths(of.run) or None),
    Section("loaders", "DataLoader workers", "loaders", _loaders),
    Section("compiling", "Compilation", "compiling", lambda of: compiling(of.run, of.tables)),
    Section("processes", "Several processes", "processes", lambda of: processes(of.run)),
    Section("gpu", lambda data: str(data.title), "gpu", lambda of: gpu.section(of.run)),
    Section("roofline", "Roofline", "roofline", lambda of: sections.ceilings(of.run)),
    Section("scaling", "Scaling", "scalings", lambda of: scalings(of.tables.cases) or None),
    Section("claims", "Tutorials’ claims", "claims", lambda of: sections.claims(of.run)),
    Section("cases", "Cases", "suites", lambda of: sections.suites(of.run, of.tables) or None),
    Section("gaps", "Not measured", "gaps", lambda of: unmeasured(of.run)),
    Section("noise", "Noise", "noise", lambda of: noise(of.run)),
    Section("visits", "Intervals", "visits", lambda of: visits(of.run)),
    Section("trust", "Trust", "trust", lambda of: trust(of.run)),
    Section("merged", "Machines", "merged", lambda of: merged(of.run)),
    Section("environment", "Environment", "parts", lambda of: sections.parts(of.run)),
    Section("reading", "Words", "reading", lambda _: True),
    Section("details", "", "details", lambda of: packed_details(of.run) or None),
)


def in_order(data_of: Sequence[tuple[Section, Any]], found: Headline) -> list[tuple[Section, Any]]:
    """The sections with their data in the order of the page: profiles stand before answers that settle nothing."""
    if found.answer is None or found.settles:
        return list(data_of)
    profiles = [entry for entry in data_of if entry[0].id == "profiles"]
    rest = [entry for entry in data_of if entry[0].id != "profiles"]
    at = next(index for index, (section, _) in enumerate(rest) if section.id == "answers")
    return [*rest[:at], *profiles, *rest[at:]]


def profiled(data_of: Sequence[tuple[Section, Any]]) -> Stacks | None:
    """The profiles of the first screen; None where no case has one."""
    data = next((data for section, data in data_of if section.id == "profiles"), None)
    return stacks(data["profiles"], MAX_PROFILES) if data and data["profiles"] else None
