"""Claims of five widely read introductions to PyTorch 2, and of a tutorial of PyTorch itself."""

from __future__ import annotations

from torchduet.suites.claim import CORES, MEMORY, TWICE_CORES, Claim, Comparison, Setting
from torchduet.suites.claims.pairs import compiled, implementations
from torchduet.suites.claims.sources import A, B, C, D, E, F

UNSYNCHRONISED = "timed once, without synchronisation, first call included"
GPU, CPU = {"device": "cuda"}, {"device": "cpu"}

# einsum workload → the dedicated operation
DEDICATED = {
    "matrix_product": "mm",
    "transpose": "t",
    "trace": "trace",
    "batched_product": "bmm",
    "dot": "dot",
    "outer": "outer",
    "hadamard": "mul",
    "sum_inner": "sum",
    "bilinear": "mv",
    "batched_bilinear": "bilinear",
    "sum_last": "sum",
    "attention_scores": "matmul",
    "rnn_cell": "rnn_tanh_cell",
    "lstm_cell": "lstm_cell",
    "convolution": "conv2d",
    "batch_normalisation": "batch_norm",
}
COMPILED_EINSUM = tuple(name for name in DEDICATED if name != "transpose")  # a view: nothing to compile


def loading(workload: str, case: Setting, baseline: Setting) -> tuple[Comparison, ...]:
    """One number of DataLoader workers against another, for an epoch of loading."""
    return (Comparison("dataloader", workload, {"workers": case}, {"workers": baseline}),)


def channels_last(workload: str, *precisions: str) -> tuple[Comparison, ...]:
    """Weights and inputs in channels-last format against contiguous ones."""
    return tuple(
        Comparison(
            "convnet",
            workload,
            {"memory_format": "channels_last", "precision": precision},
            {"memory_format": "contiguous", "precision": precision},
        )
        for precision in precisions
    )


def tuned(workload: str) -> tuple[Comparison, ...]:
    """The last step of the list of training settings against the plain loop."""
    last = {"implementation": "bf16", "mode": "compile-model", "precision": "bf16"}
    return (Comparison("training", workload, last, {"implementation": "naive"}),)


AGAINST_DEDICATED = tuple(
    comparison
    for name, operation in DEDICATED.items()
    for comparison in implementations("einsum", name, "einsum", operation)
)

NARROW_RESNET18 = Comparison(
    "vision",
    "train_classifier",
    {"memory_format": "channels_last"},
    {"memory_format": "contiguous"},
    {"network": "resnet18-narrow"},
)

CLAIMS = (
    Claim(
        key="gpu-elementwise",
        statement="The GPU multiplies two 10000×10000 matrices element by element faster than the CPU",
        source=f"{A}; {B}",
        figure=f"A: 27.9 ms against 17.6 ms; B: 37.9 ms against 14.4 ms; {UNSYNCHRONISED}",
        comparisons=(Comparison("tensor_ops", "multiply", GPU, CPU, {"n": 10_000}),),
    ),
    Claim(
        key="gpu-matmul",
        statement="The GPU multiplies matrices of 10000×10000 faster than the CPU",
        source=D,
        figure="2.34 s against 0.14 s, “16.2 times”; first call included",
        comparisons=(Comparison("matmul", "square", GPU, CPU, {"n": 10_000}),),
    ),
    Claim(
        key="create-on-gpu",
        statement="Creating a tensor on the GPU beats creating it on the CPU and moving it",
        source=A,
        comparisons=implementations("tensor_ops", "create_on_device", "create_there", "create_and_move", device="cuda"),
    ),
    Claim(
        key="from-numpy",
        statement="`from_numpy` copies nothing, `torch.tensor` copies",
        source=D,
        comparisons=implementations("tensor_ops", "from_array", "from_numpy", "tensor", "Tensor"),
        notes="A copy takes time in proportion to the array; shared memory does not.",
    ),
    Claim(
        key="einsum-as-fast",
        statement="einsum is as fast as the dedicated operation",
        source=D,
        expects="not slower",
        comparisons=AGAINST_DEDICATED,
    ),
    Claim(
        key="einsum-faster",
        statement="einsum can be faster than the dedicated operations",
        source=D,
        any_of=True,
        comparisons=(
            *implementations("einsum", "chain", "einsum", "left_to_right"),
            *(
                comparison
                for name, operation in DEDICATED.items()
                for comparison in implementations("einsum", name, "einsum", operation)
            ),
        ),
        notes="One case that is faster is enough. The chain’s factors are multiplied from left to right, as written.",
    ),
    Claim(
        key="einsum-compile",
        statement="`torch.compile` speeds einsum up further",
        source=D,
        comparisons=compiled("einsum", COMPILED_EINSUM, "compile", implementation="einsum"),
    ),
    Claim(
        key="compile-training",
        statement="Compiling a model speeds its training up",
        source=f"{A}; {C}",
        comparisons=(
            *compiled("mlp", ("train_784_100_10", "train_784_512_512_10", "train_10_100_1"), "compile-model"),
            *compiled("convnet", ("train_lenet5", "train_two_layer"), "compile-model"),
        ),
        notes="Steady state: the cost of the compilation itself stands with the answers.",
    ),
    Claim(
        key="compile-inference",
        statement="Compiling a model speeds its inference up",
        source=C,
        figure="“especially inference”",
        comparisons=(
            *compiled("mlp", ("evaluate_784_100_10",), "compile-model"),
            *compiled("convnet", ("infer_lenet5", "infer_two_layer"), "compile-model"),
        ),
    ),
    Claim(
        key="no-grad",
        statement="Forward under `no_grad` is faster",
        source=f"{A}; {D}",
        comparisons=implementations("autograd", "forward", "no_grad", "with_gradient"),
    ),
    Claim(
        key="evaluation-mode",
        statement="Evaluation mode is faster than training mode",
        source=D,
        comparisons=implementations("convnet", "mode", "evaluate", "train"),
        notes="A model with dropout and batch normalisation; others do the same work in both modes.",
    ),
    Claim(
        key="channels-last",
        statement="channels_last makes a ResNet train faster",
        source=F,
        figure="over 22 % for ResNet-50 with mixed precision on a V100",
        comparisons=(*channels_last("train_resnet", "fp32", "bf16"), NARROW_RESNET18),
        notes="Disputed: pytorch/pytorch#82699 found no difference on an A100.",
    ),
    Claim(
        key="tuned-epoch",
        statement="Batch 1000 with workers, pinned memory, compile, TF32 and bf16 autocast trains faster "
        "than the plain loop at batch 100",
        source=A,
        comparisons=tuned("epoch"),
        notes="An epoch of each. The steps that need a GPU are left out without one.",
    ),
    Claim(
        key="tuned-accuracy",
        statement="The same list of settings reaches a stated accuracy sooner than the plain loop",
        source=A,
        comparisons=tuned("to_accuracy"),
        notes="A faster epoch does not mean an earlier accuracy: larger batches take fewer steps per epoch.",
    ),
    Claim(
        key="workers-large",
        statement="More DataLoader workers help where data take work to load",
        source=D,
        comparisons=loading("epoch_images", CORES, 0),
    ),
    Claim(
        key="workers-small",
        statement="For a small dataset a single process is better",
        source=D,
        expects="slower",
        comparisons=(*loading("epoch_tensors", CORES, 0), *loading("epoch_tensors", TWICE_CORES, 0)),
    ),
    Claim(
        key="workers-cores",
        statement="Good numbers of workers are the number of cores or twice that",
        source=D,
        expects="not slower",
        comparisons=(*loading("epoch_images", CORES, 1), *loading("epoch_images", TWICE_CORES, 1)),
        notes="Compared with a single worker.",
    ),
    Claim(
        key="workers-too-many",
        statement="Too many workers cost more than they bring",
        source=D,
        expects="slower",
        comparisons=loading("epoch_images", TWICE_CORES, CORES),
        notes="Twice as many as cores against as many as cores; the source calls both good.",
    ),
    Claim(
        key="attention-memory",
        statement="Memory-efficient attention needs much less memory",
        source=C,
        expects="less",
        threshold=2.0,
        measure=MEMORY,
        comparisons=(
            *implementations("attention", "attention", "sdpa", "by_hand", "einsum"),
            *implementations("attention", "causal_attention", "sdpa", "by_hand", "einsum"),
        ),
        notes="“Much” is taken as half or less of the peak, inputs not counted.",
    ),
    Claim(
        key="safetensors",
        statement="safetensors loads faster than pickle",
        source=D,
        comparisons=implementations("export", "load", "safetensors", "torch_load"),
        notes="`torch.load` with `weights_only=True`, which is safe too.",
    ),
    Claim(
        key="onnxruntime",
        statement="ONNX Runtime is the efficient way to serve a model",
        source=A,
        comparisons=(
            *implementations("export", "infer", "onnxruntime", "eager", "torchscript", "torch_export"),
            Comparison(
                "export", "infer", {"implementation": "onnxruntime"}, {"implementation": "eager", "mode": "compile"}
            ),
        ),
        notes="Against the model itself, eager and compiled, and against TorchScript and torch.export.",
    ),
    Claim(
        key="gpu-training",
        statement="A GPU cuts the time of training on 2 000 000 × 10",
        source=E,
        comparisons=(Comparison("mlp", "train_10_100_1", GPU, CPU, {"rows": 2_000_000}),),
    ),
    Claim(
        key="accuracy",
        statement="Batch 1000 under bf16 autocast needs more epochs to the same accuracy than batch 100 in fp32",
        source=f"{A}; {B}; {D}",
        figure="A: 0.9664 after 5 epochs at batch 100 in fp32, 0.9358 at batch 1000 under bf16 autocast; "
        "B: 0.9364 after 100 full-batch epochs; D: 0.80 on Fashion-MNIST after 5",
        expects="more",
        measure="epochs",
        comparisons=tuned("to_accuracy"),
        notes="Measured as epochs to a stated accuracy, with a learning rate that grows with the batch’s root; the "
        "sources stop after so many epochs instead.",
    ),
)
