"""What is read from a file is read from a copy of it after each renewal, and no copies pile up."""

import pytest
import torch

from torchduet.suites import export
from torchduet.suites.workload import Meter

CPU = torch.device("cpu")


@pytest.mark.parametrize(("workload", "implementation"), [("load", "torch_load"), ("start", "state_dict")])
def test_each_renewal_reads_a_copy_of_the_file_made_just_then(workload: str, implementation: str) -> None:
    inputs = export.model_and_images(CPU, "784-100-10")
    given = () if workload == "load" else (Meter(),)
    original = export.suite.workloads[workload].implementations[implementation].function(*inputs)
    expected = original(*inputs, *given)
    first, second = original.renew(), original.renew()  # a slowed copy of a case renews the same original
    for each in (first, second):
        torch.testing.assert_close(each(*inputs, *given), expected, rtol=0, atol=0)
    folder = original.path.parent
    assert set(folder.iterdir()) == {original.path, first.path, second.path}
    del each, first
    assert set(folder.iterdir()) == {original.path, second.path}
