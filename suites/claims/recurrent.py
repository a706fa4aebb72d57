"""Claims about recurrent networks."""

from __future__ import annotations

from torchduet.suites.claim import Claim, Comparison
from torchduet.suites.claims.pairs import compiled, implementations

SUITE = "recurrent"
MODEL = "compile-model"


def fused(workload: str, *loops: str) -> tuple[Comparison, ...]:
    """The module for whole sequences against loops over their steps."""
    return implementations(SUITE, workload, "fused", *loops)


CLAIMS = (
    Claim(
        key="lstm-fused",
        statement="nn.LSTM is faster than a loop over nn.LSTMCell",
        source='"Performance tests for Pytorch LSTMs", a public gist of MilesQLi; pytorch/pytorch#15914',
        figure="gist, 200 steps, batch 32: on a GTX 1080 6.1 ms against 11.8 ms forward and 7.9 ms against 30.8 ms "
        "backward, on its CPU 136 ms against 120 ms and 185 ms against 185 ms; #15914: 1.5 to 2 times with MKL-DNN, "
        "which the cells do not call",
        comparisons=(*fused("train_lstm", "cell"), *fused("infer_lstm", "cell")),
    ),
    Claim(
        key="lstm-one-step",
        statement="For one step at a time, nn.LSTMCell is faster than nn.LSTM",
        source='"Performance tests for Pytorch LSTMs", a public gist of MilesQLi',
        figure="on a GTX 1080 11.8 ms against 25.6 ms forward for 200 steps, on its CPU 120 ms against 135 ms",
        comparisons=implementations(SUITE, "next_word_lstm", "cell", "fused"),
    ),
    Claim(
        key="gru-by-hand",
        statement="nn.GRU is faster than the same equations written out",
        source='"Why my “manual” GRU is slower than nn.GRU?", a thread of discuss.pytorch.org',
        figure="“painfully slow”",
        comparisons=(*fused("train_gru", "by_hand", "einsum"), *fused("infer_gru", "by_hand", "by_gate", "einsum")),
        notes="The author has a product for each gate, as here “by_gate” and “einsum”; “by_hand” has one for all.",
    ),
    Claim(
        key="rnn-gates-together",
        statement="One product for all gates of a cell is faster than one for each gate",
        source="Appleyard et al. 2016, an article on recurrent networks on GPUs (arXiv:1604.01946)",
        figure="“an order of magnitude” with all optimisations together",
        comparisons=implementations(SUITE, "infer_gru", "by_hand", "by_gate"),
        notes="A GRU’s loop in eager mode; both sides call the same functions for their products.",
    ),
    Claim(
        key="lstm-compile",
        statement="Compiling does not speed up a model whose time is spent in nn.LSTM: as it is, it is as fast",
        source="pytorch/pytorch#91439; pytorch/pytorch#185163",
        expects="not slower",
        comparisons=(
            Comparison(
                SUITE,
                "train_lstm",
                {"implementation": "fused", "mode": "eager"},
                {"implementation": "fused", "mode": MODEL},
            ),
        ),
        notes="The model as it is, compared with the compiled one. Dynamo does not trace the layer: the graph breaks "
        "there, and what is around it is compiled.",
    ),
    Claim(
        key="rnn-loop-compile",
        statement="For short sequences, compiling a recurrent network written in Python makes it faster",
        source="pytorch/pytorch#97155",
        figure="“typically much faster” than eager; more than 15 minutes to compile 1024 steps",
        comparisons=compiled(SUITE, ("train_lstm", "infer_lstm"), MODEL, implementation="by_hand"),
        notes="The loop is unrolled: the time to compile grows with the length, and stands with the answers.",
    ),
)
