"""What PyTorch's operators do with rounding: which round each element, which add up, and which are exact."""

from __future__ import annotations

_ELEMENTWISE = """
add sub rsub mul div true_divide reciprocal addcmul addcdiv lerp exp exp2 expm1 log log2 log10 log1p sqrt rsqrt pow
sin cos tan sinh cosh tanh asin acos atan atan2 asinh acosh atanh sigmoid logit erf erfc erfinv gelu silu mish elu
celu selu softplus hardswish hardsigmoid log_sigmoid_forward square hypot fmod remainder lgamma digamma
gelu_backward silu_backward sigmoid_backward tanh_backward softplus_backward elu_backward hardswish_backward
mish_backward log_sigmoid_backward mse_loss smooth_l1_loss huber_loss xlogy special_erfcx complex polar
"""
_EXACT = """
clone copy _to_copy detach alias cat stack hstack vstack index index_select gather take take_along_dim scatter
slice_scatter select_scatter diagonal_scatter as_strided_scatter select_backward slice_backward index_put
_unsafe_index_put index_copy index_fill masked_scatter embedding where masked_fill masked_select fill zero
zeros_like ones_like full_like empty_like rand_like randn_like zeros ones full empty empty_strided new_empty
new_zeros new_ones new_full new_empty_strided arange linspace eye scalar_tensor lift lift_fresh lift_fresh_copy eq
ne lt le gt ge isnan isinf isfinite sign neg abs relu threshold threshold_backward maximum minimum fmax fmin max min
amax amin aminmax clamp clamp_min clamp_max hardtanh hardtanh_backward leaky_relu leaky_relu_backward flip roll
repeat tile expand_copy constant_pad_nd reflection_pad1d reflection_pad2d replication_pad2d tril triu bernoulli rand
randn randint randperm uniform normal random exponential round floor ceil trunc bitwise_and bitwise_or bitwise_xor
bitwise_not logical_and logical_or logical_not logical_xor nonzero _unique2 unique_dim unique_consecutive bincount
_local_scalar_dense equal set resize _unsafe_view unfold im2col diag_embed pin_memory conj_physical resolve_conj
resolve_neg real imag is_same_size channel_shuffle pixel_shuffle pixel_unshuffle repeat_interleave searchsorted
bucketize sort argsort topk kthvalue median nanmedian mode argmax argmin cummax cummin max_pool2d_with_indices
max_pool2d_with_indices_backward max_pool3d_with_indices nll_loss_forward nll_loss_backward nested_view
"""
# They round each element on its own.
ELEMENTWISE = frozenset(_ELEMENTWISE.split())
# They move, select, compare or create values without rounding.
EXACT = frozenset(_EXACT.split())
SUMS = frozenset({"sum", "mean", "nansum", "nanmean"})
# They return positions along a dimension.
ORDERING = frozenset({"sort", "topk", "kthvalue", "median", "nanmedian", "mode", "argmax", "argmin", "max", "min"})
