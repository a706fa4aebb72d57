"""Claims about how models are compiled."""

from __future__ import annotations

from torchduet.suites.claim import FIRST_CALL, Claim, Comparison

REGIONAL = '"Reducing torch.compile cold start compilation time with regional compilation", a recipe of PyTorch'
DOCS = "PyTorch's documentation of torch.compile: dynamic="
WHOLE, REGIONS = {"mode": "compile-model"}, {"mode": "compile-regions"}
DEEP = (
    Comparison("compiling", "residual_mlp", REGIONS, WHOLE, {"depth": 16}),
    Comparison("compiling", "encoder_stack", REGIONS, WHOLE, {"layers": 8}),
)
MIN_SAVING = 1.25  # what a claim of "large savings" means at least; first calls are measured once, without an interval

CLAIMS: tuple[Claim, ...] = (
    Claim(
        key="regional-compile-time",
        statement="Compiling a repeated block once, and not the whole model, cuts the time of the first call",
        source=REGIONAL,
        figure="“large savings in compile time”, with 64 layers",
        expects="less",
        threshold=MIN_SAVING,
        measure=FIRST_CALL,
        comparisons=DEEP,
        notes="The first call with an empty cache, measured once. Fewer layers save less.",
    ),
    Claim(
        key="regional-speed",
        statement="A model with compiled blocks is about as fast as one that is compiled as a whole",
        source=REGIONAL,
        figure="“minimal speedup differences”",
        expects="not slower",
        comparisons=DEEP,
        notes="Small blocks pay for entering compiled code once a block.",
    ),
    Claim(
        key="dynamic-first-calls",
        statement="dynamic=True avoids a compilation for each size, which dynamic=False makes",
        source=DOCS,
        expects="less",
        threshold=MIN_SAVING,
        measure=FIRST_CALL,
        comparisons=(Comparison("compiling", "text_lengths", {"mode": "compile-dynamic"}, {"mode": "compile-static"}),),
        notes="The first calls at four lengths together, with an empty cache, measured once.",
    ),
)
