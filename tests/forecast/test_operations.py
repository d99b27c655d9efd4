"""What was met before is answered as torch answers it, and what is told from values or shares memory is asked anew."""

import pytest
import torch

from harness.forecast.operations import META, Operations

aten = torch.ops.aten


def tensor(*shape, dtype=torch.float32):
    return torch.empty(shape, dtype=dtype, device=META)


class Counted(Operations):
    """Counts what torch is asked."""

    asked = 0

    def run(self, func, args, kwargs):
        def counting(*args, **kwargs):
            self.asked += 1
            return func(*args, **kwargs)

        counting._schema, counting._overloadpacket = func._schema, func._overloadpacket
        return super().run(self._wrapped.setdefault(func, counting), args, kwargs)

    def __init__(self):
        super().__init__()
        self._wrapped = {}


CASES = [
    (aten.mul.Tensor, (tensor(3, 4, dtype=torch.bfloat16), 2.0), {}),
    (aten.mul.Tensor, (tensor(3, 4, dtype=torch.bfloat16), tensor(4)), {}),
    (aten.mm.default, (tensor(3, 5).T, tensor(3, 4)), {}),
    (aten.sum.dim_IntList, (tensor(3, 4, dtype=torch.int32), [1], True), {}),
    (aten.clone.default, (tensor(3, 4).T,), {"memory_format": torch.contiguous_format}),
    (aten.clone.default, (tensor(3, 4).T,), {}),
    (aten._to_copy.default, (tensor(3, 4),), {"dtype": torch.bfloat16}),
]


@pytest.mark.parametrize(("func", "args", "kwargs"), CASES)
def test_a_new_tensor_is_as_torch_makes_it(func, args, kwargs):
    operations, wanted = Counted(), func(*args, **kwargs)
    first, flops = operations.run(func, args, kwargs)
    again, flops_again = operations.run(func, args, kwargs)
    assert operations.asked == 1
    assert flops == flops_again
    assert again.untyped_storage()._cdata != first.untyped_storage()._cdata
    for made in (first, again):
        assert (made.shape, made.stride(), made.dtype) == (wanted.shape, wanted.stride(), wanted.dtype)
        assert made.untyped_storage().nbytes() == wanted.untyped_storage().nbytes()


def test_products_count_each_time():
    operations = Counted()
    assert [operations.run(aten.mm.default, (tensor(3, 5), tensor(5, 7)), {})[1] for _ in range(2)] == [210, 210]


def test_in_place_gives_back_what_it_is_given():
    operations, one, other = Counted(), tensor(3), tensor(3)
    assert operations.run(aten.mul_.Tensor, (one, 2.0), {})[0] is one
    assert operations.run(aten.mul_.Tensor, (other, 2.0), {})[0] is other
    assert operations.run(aten._foreach_mul_.Scalar, ([one, other], 2.0), {})[0] is None
    assert operations.run(aten._foreach_mul_.Scalar, ([other, one], 2.0), {})[0] is None
    assert operations.asked == 2


def test_views_and_changes_of_shape_are_asked_anew():
    operations = Counted()
    for func, args in ((aten.view.default, ([6],)), (aten._unsafe_view.default, ([6],)), (aten.t_.default, ())):
        for _ in range(2):
            given = tensor(2, 3)
            made, _flops = operations.run(func, (given, *args), {})
            assert made.untyped_storage()._cdata == given.untyped_storage()._cdata
            assert made.shape != (2, 3)
    assert operations.asked == 6


def test_other_shapes_numbers_and_default_types_are_told_apart():
    operations = Counted()
    whole, part = tensor(2, dtype=torch.int64), tensor(2, dtype=torch.bool)
    made = [operations.run(aten.mul.Tensor, args, {})[0].dtype for args in ((whole, 1), (whole, 1.0), (part, True))]
    assert made == [torch.int64, torch.float32, torch.bool]
    for dtype in (torch.float32, torch.bfloat16):
        before = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            assert operations.run(aten.empty.memory_format, ([2],), {"device": META})[0].dtype == dtype
        finally:
            torch.set_default_dtype(before)
