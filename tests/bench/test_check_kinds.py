"""What is compared, against what, how exactly, and what is said where a result is wrong: with real suites."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.bench.measured import checked
from torchduet.bench.cases.exchange import CaseResult
from torchduet.bench.timing.checking.exactness import Recorder
from torchduet.bench.timing.checking.rounding import Perturbation
from torchduet.suites import Suite, SuiteError

ROOT = Path(__file__).parents[2]

MODELS = """
class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(32, n) for n in (32, 32, 32, 8))

    def forward(self, x):
        q, k, v = self.q(x), self.k(x), self.v(x)
        return self.out((torch.softmax(q @ k.mT / 32**0.5, -1) @ v).mean(1))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True, activation="gelu")
        self.out = nn.Linear(32, 8)

    def forward(self, x):
        return self.out(self.layer(x).mean(1))


def resnet():
    from torchduet.suites.vision.resnet import ResNet
    return ResNet(16, (8, 16), 1, 8).network()


def convolutions():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 14 * 14, 8))


def images(batch):
    return torch.randn(batch, 3, 16, 16), torch.randint(8, (batch,))


def words(batch):
    return torch.randn(batch, 10, 32), torch.randint(8, (batch,))


for name, make, data in (("resnet", resnet, images), ("conv", convolutions, images),
                         ("attention", Attention, words), ("encoder", Encoder, words)):
    for optimizer in OPTIMIZERS:
        suite.model(f"{name}_{optimizer.__name__}", make, data, loss=F.cross_entropy, optimizer=optimizer,
                    modes=MODES, precisions=PRECISIONS, batch=(8,))
"""


def errors(results: dict[str, CaseResult]) -> dict[str, str]:
    return {name: result.error or result.skip or "" for name, result in results.items() if result.error or result.skip}


def test_models_with_gradients_that_are_zero_but_for_rounding_pass(tmp_path: Path) -> None:
    sgd = "lambda parameters: torch.optim.SGD(parameters, lr=0.1)"
    head = f"OPTIMIZERS = (torch.optim.AdamW, torch.optim.RMSprop, torch.optim.Adagrad, {sgd})\n"
    results = checked(tmp_path, head + 'MODES, PRECISIONS = ("eager",), ("fp32", "bf16")\n' + MODELS)
    assert len(results) == 64
    assert errors(results) == {}
    record = results["conv_AdamW_train[batch=8] eager fp32"].check
    assert record is not None
    assert record.get("scale") == "rounding"


def test_compiled_models_pass(tmp_path: Path) -> None:
    head = 'OPTIMIZERS, MODES, PRECISIONS = (torch.optim.AdamW,), ("eager", "compile"), ("fp32",)\n'
    few = MODELS.replace('("resnet", resnet, images), ', "").replace('("attention", Attention, words), ', "")
    results = checked(tmp_path, head + few)
    assert len(results) == 8
    assert errors(results) == {}


def test_cancellation_is_judged_on_the_scale_of_what_cancelled(tmp_path: Path) -> None:
    text = """
x = lambda device: (torch.randn(1000),)
suite.compare("centred", {"f": lambda x: (x - x.mean()).mean()}, inputs=x, **EAGER)
suite.compare("off", {"f": lambda x: (x - x.mean()).mean(), "wrong": lambda x: (x - x.mean()).mean() + 1e-3},
              inputs=x, **EAGER)
"""
    results = checked(tmp_path, text)
    assert set(errors(results)) == {"off wrong eager fp32"}


WRONG = """
def step(sign=1.0, extra=0.0):
    def train(net, x, y):
        net.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        net[0].bias.grad += extra
        with torch.no_grad():
            for p in net.parameters():
                p -= sign * 1e-3 * p.grad.sign() if sign < 0 else 1e-3 * p.grad / (p.grad.abs() + 1e-8)
        return loss.detach()
    return train


def state(inputs, loss):
    return {"loss": loss, **{f"gradient of {n}": p.grad for n, p in inputs[0].named_parameters()},
            **dict(inputs[0].named_parameters())}


def data(device):
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 8))
    return net, torch.randn(8, 3, 8, 8), torch.randint(8, (8,))


def coarse(a, b):
    return (a.view(torch.int32) & ~0x1FFF).view(torch.float32) @ (b.view(torch.int32) & ~0x1FFF).view(torch.float32)


def one_element(x):
    y = x + 1
    y[7] += 0.1
    return y


suite.compare("step", {"right": step(), "gradient": step(extra=1e-3), "sign": step(-1.0)}, inputs=data,
              observe=state, **EAGER)
suite.compare("tf32", {"right": lambda a, b: a @ b, "coarse": lambda a, b: coarse(a,
              b) if a.dtype == torch.float32 else a @ b},
              inputs=lambda device: (torch.randn(256, 256), torch.randn(256, 256)), **EAGER)
suite.compare("element", {"right": lambda x: x + 1, "one": one_element},
              inputs=lambda device: (torch.randn(100_000),), **EAGER)
"""


def test_what_is_wrong_is_still_found_and_named(tmp_path: Path) -> None:
    wrong = errors(checked(tmp_path, WRONG))
    assert set(wrong) == {f"{name} eager fp32" for name in ("step gradient", "step sign", "tf32 coarse", "element one")}
    assert "its result is wrong in gradient of 0.bias: relative error" in wrong["step gradient eager fp32"]
    message = r"its result is wrong: relative error [\d.e-]+ against float64, 2e-05 is allowed in fp32; random\? "
    message += r"deterministic=False\. Less exact by design\? tolerance=\{'coarse': [\d.e-]+\}"
    assert re.fullmatch(message, wrong["tf32 coarse eager fp32"])


KINDS = """
import collections, dataclasses
import numpy as np
from torch.nn.utils.rnn import pack_sequence

Pair = collections.namedtuple("Pair", "a b")


@dataclasses.dataclass
class Output:
    a: object
    b: object


class Output2(collections.OrderedDict):
    pass


class Node:
    def __init__(self, a, b):
        self.a, self.b = a, b


class Registered:
    def __init__(self, *items):
        self.items = items


torch.utils._pytree.register_pytree_node(Registered, lambda r: (list(r.items), None), lambda items,
              _: Registered(*items))
make = {
    "dict": lambda a, b: {"b": b, "a": a}, "pair": Pair, "output": Output, "ordered": lambda a, b: Output2(a=a, b=b),
    "object": Node, "registered": Registered, "set": lambda a, b: {float(a.sum()), float(b.sum())},
    "array": lambda a, b: [a.numpy(), b.numpy().sum()], "complex": lambda a, b: complex(a.sum(), b.sum()),
    "packed": lambda a, b: pack_sequence([a, b]), "distribution": lambda a, b: torch.distributions.Normal(a, b.abs()),
    "sparse": lambda a, b: [torch.outer(a, b).to_sparse(), torch.outer(a, b).to_sparse_csr()],
    "bsr": lambda a, b: torch.outer(a, b).to_sparse_bsr((2, 2)), "conjugate": lambda a, b: torch.complex(a, b).conj(),
    "mkldnn": lambda a, b: [a.float().to_mkldnn(), b],
    "nested": lambda a, b: torch.nested.nested_tensor([a[:, None], b[:3, None]], layout=torch.jagged),
    "module": lambda a, b: nn.ParameterDict({"a": a, "b": b}),
}
for name, function in make.items():
    suite.compare(name, {"right": function, "wrong": lambda a, b, f=function: f(a * 1.01, b)},
                  inputs=lambda device: (torch.randn(8), torch.randn(8)), **EAGER)
suite.compare("order", {"ab": lambda a, b: {"a": a, "b": b}, "ba": lambda a, b: {"b": b, "a": a},
              "tuple": lambda a, b: (a, b),
                        "named": lambda a, b: {"a": a, "c": b}, "swapped": lambda a, b: {"a": b, "b": a}},
              inputs=lambda device: (torch.randn(8), torch.randn(8)), **EAGER)
suite.compare("text", {"right": lambda a, b: ["x", a], "wrong": lambda a, b: ["y", a]},
              inputs=lambda device: (torch.randn(8), torch.randn(8)), **EAGER)
"""


def test_results_of_every_kind_are_compared_by_what_they_mean(tmp_path: Path) -> None:
    wrong = errors(checked(tmp_path, KINDS))
    kinds = (
        "dict pair output ordered object registered set array complex packed distribution sparse bsr conjugate mkldnn"
    )
    expected = {f"{kind} wrong" for kind in [*kinds.split(), "nested", "module"]}
    assert set(wrong) == {f"{name} eager fp32" for name in expected | {"order named", "order swapped", "text wrong"}}
    assert wrong["order named eager fp32"] == (
        "its result lacks b and has c, unlike the reference; return the same names, or use observe="
    )
    assert "wrong in a: relative error" in wrong["output wrong eager fp32"]


def test_what_holds_no_values_is_refused(tmp_path: Path) -> None:
    text = """
x = lambda device: (torch.randn(8),)
suite.compare("meta", {"f": lambda x: x.to("meta")}, inputs=x, **EAGER)
suite.compare("lazy", {"f": lambda x: (y for y in x)}, inputs=x, **EAGER)
suite.compare("nan", {"f": lambda x: {"loss": (x - x) / (x - x)}}, inputs=x, **EAGER)
"""
    wrong = errors(checked(tmp_path, text))
    assert "which holds no values" in wrong["meta eager fp32"]
    assert "return list(...) of it" in wrong["lazy eager fp32"]
    assert "loss is not finite even in float64: 8 of 8 values are NaN" in wrong["nan eager fp32"]


def test_infinity_is_right_where_the_reference_has_it(tmp_path: Path) -> None:
    text = """
def mask(x):
    return x.masked_fill(torch.ones_like(x, dtype=torch.bool).triu(1), -torch.inf)

suite.compare("mask", {"right": mask, "moved": lambda x: mask(x.T).T, "sign": lambda x: -mask(-x)},
              inputs=lambda device: (torch.randn(8, 8),), **EAGER)
suite.compare("overflow", {"f": lambda x: x.exp()}, inputs=lambda device: (torch.full((8,), 100.0),), **EAGER)
"""
    assert set(errors(checked(tmp_path, text))) == {
        "mask moved eager fp32",
        "mask sign eager fp32",
        "overflow eager fp32",
    }


TIES = """
ties = lambda device: (torch.tensor([3.0, 1.0, 3.0, 2.0, 0.0, 0.0]),)
rounding = lambda device: (torch.cat([v := torch.randn(1, 4000), v.flip(1), torch.randn(1, 4000) - 1]),)


def last(x):
    return len(x) - 1 - x.flip(0).argmax()


def by_sum(x):
    return x.sum(1).argmax()


def reordered(x):
    return (x[:, ::2].sum(1) + x[:, 1::2].sum(1)).argmax()


suite.compare("argmax", {"first": lambda x: x.argmax(), "last": last, "other": lambda x: x.argmax()},
              inputs=ties, **EAGER)
suite.compare("clear", {"right": lambda x: x[1:].argmax(), "wrong": lambda x: x[1:].argmax() + 1}, inputs=ties, **EAGER)
suite.compare("number", {"first": lambda x: int(x.argmax()), "last": lambda x: int(last(x))}, inputs=ties, **EAGER)
suite.compare("sort", {"a": lambda x: x.sort(), "b": lambda x: (x.sort()[0],
              len(x) - 1 - x.flip(0).sort(stable=True)[1]),
                       "wrong": lambda x: (x.sort()[0], torch.arange(6))}, inputs=ties, **EAGER)
suite.compare("topk", {"a": lambda x: x.topk(1), "b": lambda x: (x.max()[None], last(x)[None])}, inputs=ties, **EAGER)
suite.compare("rounding", {"a": by_sum, "b": reordered}, inputs=rounding, **EAGER)
suite.compare("threshold", {"a": lambda x: (x - x.mean()).mean(1) > 0, "b": lambda x: (x.mean(1) - x.mean()) > -1e9},
              inputs=lambda device: (torch.randn(1, 999),), **EAGER)
suite.compare("mask", {"a": lambda x: x > 0, "wrong": lambda x: x > 0.1},
              inputs=lambda device: (torch.randn(999),), **EAGER)
"""


def test_ties_are_left_out_and_counted(tmp_path: Path) -> None:
    results = checked(tmp_path, TIES)
    wrong = {"clear wrong eager fp32", "sort wrong eager fp32", "mask wrong eager fp32"}
    assert set(errors(results)) == wrong
    for name in ("argmax last", "number last", "sort b", "topk b"):
        record = results[f"{name} eager fp32"].check
        assert record is not None
        assert record.get("undecided", 0) > 0
    record = results["argmax first eager fp32"].check
    assert record is not None
    assert "undecided" not in record


WITHOUT_FLOAT64 = """
import threading


class Hard(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(16, 16)

    def forward(self, x):
        return self.linear(x.to(torch.float32))


class Uncopied:
    def __init__(self, x):
        self.x, self.lock = x, threading.Lock()


def only_float32(x):
    if x.dtype != torch.float32:
        raise TypeError("a kernel for float32")
    return x * 2


def module(net, x):
    return net(x)


inputs = {
    "hard": (Hard, module), "weight_norm": (lambda: nn.utils.weight_norm(nn.Linear(16, 16)), module),
    "quantised": (lambda: torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(16, 8)), {nn.Linear}), module),
    "only_float32": (lambda: None, lambda _, x: only_float32(x)),
    "uncopied": (lambda: Uncopied(torch.randn(16)), lambda net, x: only_float32(net.x + x)),
}
for deterministic in (True, False):
    for name, (make, f) in inputs.items():
        suite.compare(f"{name}_{deterministic}", {"f": f, "wrong": lambda net, x, f=f: f(net, x * 1.01)},
                      inputs=lambda device, make=make: (make(), torch.randn(4, 16)),
                                    deterministic=deterministic, **EAGER)
"""


def test_without_float64_the_first_implementation_in_its_own_dtype_is_what_it_is_held_against(tmp_path: Path) -> None:
    results = checked(tmp_path, WITHOUT_FLOAT64)
    wrong = errors(results)
    names = ("hard", "quantised", "only_float32", "uncopied")
    assert set(wrong) == {f"{name}_True wrong eager fp32" for name in (*names, "weight_norm")}
    weight_norm = results["weight_norm_True f eager fp32"].check  # its derived weight is copied in float64
    assert weight_norm is not None
    assert "held_against" not in weight_norm
    assert "against the first implementation in its own dtype" in wrong["hard_True wrong eager fp32"]
    for name in names:
        for what, deterministic in (("values", True), ("shapes", False)):
            record = results[f"{name}_{deterministic} f eager fp32"].check
            assert record is not None
            assert record["what"] == what
            assert record.get("held_against") == "own dtype"
            assert record.get("why")


DTYPES = """
def net(dtype):
    return lambda device: (nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 8)).to(dtype),
                  torch.randn(8, 64).to(dtype))


def call(net, x):
    return net(x)


def matrices(device):
    return torch.randn(64, 64), torch.randn(64, 64)


for dtype in (torch.bfloat16, torch.float16, torch.float64):
    suite.compare(str(dtype)[6:], {"f": call}, inputs=net(dtype), modes=("eager",), precisions=("fp32", "bf16"))
suite.compare("casts", {"fp32": lambda a, b: a @ b, "bf16": lambda a, b: (a.bfloat16() @ b.bfloat16()).float()},
              inputs=matrices, **EAGER)
suite.compare("all_cast", {"bf16": lambda a, b: (a.bfloat16() @ b.bfloat16()).float(), "fp32": lambda a, b: a @ b},
              inputs=matrices, **EAGER)
suite.compare("inner", {"f": lambda a, b: a.float() @ b.float()}, modes=("eager",), precisions=("fp32", "bf16"),
              inputs=lambda device: (torch.randn(64, 64).double(), torch.randn(64, 64).double()))
"""


def test_tolerance_and_label_are_those_of_what_is_computed(tmp_path: Path) -> None:
    results = checked(tmp_path, DTYPES)
    records = {name.removesuffix(" eager fp32"): result.check for name, result in results.items() if result.check}
    labels = {name: (record.get("computes_in"), record["tolerance"]) for name, record in records.items()}
    assert labels == {
        "bfloat16": ("bfloat16", 0.03),
        "float16": ("float16", 0.005),
        "float16 eager bf16": (None, 0.03),
        "float64": ("float64", 2e-5),
        "casts fp32": (None, 2e-5),
        "casts bf16": ("bfloat16", 0.03),
        "all_cast bf16": ("bfloat16", 0.03),
        "all_cast fp32": ("bfloat16", 0.03),
        "inner": ("float64", 2e-5),
        "inner eager bf16": (None, 0.03),
    }
    assert errors(results) == {
        "bfloat16 eager bf16": "its tensors are bfloat16, which autocast leaves as they are: bf16 would change nothing",
        "float64 eager bf16": "its tensors are float64, which autocast leaves as they are: bf16 would change nothing",
    }


def test_a_tolerance_can_be_of_one_implementation(tmp_path: Path) -> None:
    text = """
off = {name: lambda x, factor=factor: x * factor for name, factor in (("f", 2), ("int8", 2.02), ("fp8", 2.02),
              ("g", 2.02))}
suite.compare("f", off, inputs=lambda device: (torch.ones(8),), tolerance={"int8": 0.05, "fp8": {"fp32": 0.1}}, **EAGER)
suite.compare("any", off, inputs=lambda device: (torch.ones(8),), check=False, **EAGER)
"""
    results = checked(tmp_path, text)
    assert set(errors(results)) == {"f g eager fp32"}
    assert {name: result.check and result.check["tolerance"] for name, result in results.items()} == {
        "f f eager fp32": 2e-5,
        "f int8 eager fp32": 0.05,
        "f fp8 eager fp32": 0.1,
        "f g eager fp32": None,
        **{f"any {name} eager fp32": None for name in ("f", "int8", "fp8", "g")},
    }
    record = results["any g eager fp32"].check
    assert record == {"what": "nothing", "relative_error": None, "tolerance": None}


@pytest.mark.parametrize(
    ("tolerance", "message"),
    [
        (
            {"int4": 0.1},
            "tolerance has int4; known are fp32, tf32, bf16, fp16, bf16-pure, fp16-pure "
            "and the implementations f, int8",
        ),
        (
            {"fp32": float("inf")},
            "tolerance of fp32 is inf; it is a positive number; use check=False to compare nothing",
        ),
        ({"int8": -1}, "tolerance of int8 is -1; it is a positive number, such as 0.05"),
        (
            {"int8": {"fp8": 0.1}},
            "tolerance of int8's fp8 is of no precision; known are fp32, tf32, bf16, fp16, bf16-pure, fp16-pure",
        ),
        ({"fp32": {"fp32": 0.1}}, "tolerance of fp32 is {'fp32': 0.1}; it is a positive number, such as 0.05"),
    ],
)
def test_an_impossible_tolerance_is_refused_when_it_is_given(tolerance: dict[str, float], message: str) -> None:
    with pytest.raises(SuiteError) as caught:
        Suite("s").compare("w", {"f": abs, "int8": abs}, inputs=lambda _: (), tolerance=tolerance)
    assert str(caught.value) == f"suite 's', workload 'w': {message}"


def test_random_results_are_recognised(tmp_path: Path) -> None:
    text = """
net = lambda device: (nn.Sequential(nn.Linear(16, 16), nn.Dropout()), torch.randn(64, 16))
suite.compare("dropout", {"f": lambda net, x: net(x)}, inputs=net, **EAGER)
suite.compare("said", {"f": lambda net, x: net(x)}, inputs=net, deterministic=False, **EAGER)
suite.compare("lengths", {"f": lambda net, x: x[torch.rand(64) > 0.5]}, inputs=net, deterministic=False, **EAGER)
"""
    wrong = errors(checked(tmp_path, text))
    assert set(wrong) == {"dropout eager fp32"}
    assert "its results are random (dropout in training mode?): deterministic=False" in wrong["dropout eager fp32"]


def test_the_check_does_not_import_the_compiler() -> None:
    """It would take seconds in each worker."""
    code = """
import sys, torch
from torchduet.bench.timing.checking.exactness import Recorder
from torchduet.bench.timing.checking.results import results_of
from torchduet.bench.timing.checking.rounding import Perturbation
for mode in (Recorder(), Perturbation(1e-7, 0)):
    with mode:
        results_of(torch.randn(8).softmax(0))
sys.exit("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_compiled_code_within_a_reference_is_recorded_and_perturbed() -> None:
    for function in (torch.compile(torch.sin), torch.compile(lambda x: x.bfloat16() + 1)):
        function(torch.ones(8))  # compiled before
        with Perturbation(0.05, 0):
            assert not torch.equal(function(torch.ones(64)), function(torch.ones(64)))
    with Recorder() as recorder:
        function(torch.ones(8))
    assert torch.bfloat16 in recorder.dtypes


SEEDED = """
def seeded(x):
    torch.manual_seed(0)
    return x + torch.rand(10)


suite.compare("seeded", {"f": seeded, "g": seeded}, inputs=lambda device: (torch.randn(10),), **EAGER)
suite.compare("unseeded", {"f": lambda x: x + torch.rand(10)}, inputs=lambda device: (torch.randn(10),), **EAGER)
suite.compare("svd", {"f": torch.linalg.svd}, inputs=lambda device: (torch.randn(10, 10),), **EAGER)
suite.compare("values", {"f": torch.linalg.svdvals}, inputs=lambda device: (torch.randn(10, 10),), **EAGER)
suite.model("half", lambda: nn.Linear(8, 4).half(),
            lambda batch: (torch.randn(batch, 8).half(), torch.randint(4, (batch,))),
            loss=F.cross_entropy, precisions=("fp32",), **EAGER)
"""


def test_seeded_random_numbers_are_held_against_the_same_types(tmp_path: Path) -> None:
    results = checked(tmp_path, SEEDED)
    for name in ("f", "g"):
        check = results[f"seeded {name} eager fp32"].check
        assert check is not None
        assert check["held_against"] == "own dtype"
    assert "its results are random" in (results["unseeded eager fp32"].error or "")


def test_vectors_up_to_sign_are_refused_with_advice(tmp_path: Path) -> None:
    results = checked(tmp_path, SEEDED)
    error = results["svd eager fp32"].error
    assert error is None or "determined only up to sign or phase: name what to check with observe=" in error
    assert results["values eager fp32"].error is None
    assert "infinity" in (results["half_train[batch=32] eager fp32"].error or "")
