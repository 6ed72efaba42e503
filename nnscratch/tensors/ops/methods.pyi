# Written by `python -m nnscratch.inspect.stubs`; change its source, not this file.

from typing import Any

from nnscratch.array.random import Generator
from nnscratch.tensors.ops.factoring import QR
from nnscratch.tensors.ops.factoring import USV
from nnscratch.tensors.ops.solving import SlogDet
from nnscratch.tensors.ops.sorting import MinAndMax
from nnscratch.tensors.reductions import ValuesAndIndices
from nnscratch.tensors.shapes import Dims
from nnscratch.tensors.tensor import Tensor

class FunctionMethods:
    """The methods of ``Tensor`` that are functions of ``tensors.ops``."""
    @property
    def H(self) -> Tensor: ...
    def __divmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        r"""Return ⌊x / y⌋ and what it leaves, as Python's ``divmod`` does."""
    def __floordiv__(self, other: Any) -> Tensor:
        r"""Return ⌊x / y⌋."""
    def __ifloordiv__(self, other: Any) -> Tensor:
        r"""Compute ``floor_divide`` in place."""
    def __ilshift__(self, other: Any) -> Tensor:
        r"""Compute ``bitwise_left_shift`` in place."""
    def __imod__(self, other: Any) -> Tensor:
        r"""Compute ``remainder`` in place."""
    def __irshift__(self, other: Any) -> Tensor:
        r"""Compute ``bitwise_right_shift`` in place."""
    def __lshift__(self, other: Any) -> Tensor:
        r"""Return x 2^y of integers, x << y."""
    def __mod__(self, other: Any) -> Tensor:
        r"""Return what a division leaves, with the sign of ``other``: x - y ⌊x / y⌋, Python's %."""
    def __rdivmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        ...
    def __rfloordiv__(self, other: Any) -> Tensor:
        ...
    def __rlshift__(self, other: Any) -> Tensor:
        ...
    def __rmod__(self, other: Any) -> Tensor:
        ...
    def __round__(self, ndigits: int = ...) -> Tensor:
        r"""Return the tensor that ``round(x)`` and ``round(x, 2)`` of Python mean."""
    def __rrshift__(self, other: Any) -> Tensor:
        ...
    def __rshift__(self, other: Any) -> Tensor:
        r"""Return ⌊x / 2^y⌋ of integers, x >> y."""
    def __trunc__(self) -> int:
        ...
    def abs_(self) -> Tensor:
        r"""Compute ``abs`` in place."""
    def absolute(self, *, out: Any = ...) -> Tensor:
        r"""Return the absolute value of each element."""
    def absolute_(self) -> Tensor:
        r"""Compute ``abs`` in place."""
    def acos(self, *, out: Any = ...) -> Tensor:
        r"""Return the angle with that cosine of each element."""
    def acos_(self) -> Tensor:
        r"""Compute ``acos`` in place."""
    def acosh(self, *, out: Any = ...) -> Tensor:
        r"""Return the inverse of the hyperbolic cosine of each element."""
    def acosh_(self) -> Tensor:
        r"""Compute ``acosh`` in place."""
    def addbmm(self, batch1: Tensor, batch2: Tensor, *, beta: Any = ..., alpha: Any = ..., out: Any = ...) -> Tensor:
        r"""Return beta · input + alpha · the sum of batch1 @ batch2 over the batch."""
    def addbmm_(self, batch1: Tensor, batch2: Tensor, *, beta: Any = ..., alpha: Any = ...) -> Tensor:
        r"""Compute ``addbmm`` in place."""
    def addcdiv(self, tensor1: Tensor, tensor2: Tensor, *, value: Any = ..., out: Any = ...) -> Tensor:
        r"""Return input + value · tensor1 / tensor2."""
    def addcdiv_(self, tensor1: Tensor, tensor2: Tensor, *, value: Any = ...) -> Tensor:
        r"""Compute ``addcdiv`` in place."""
    def addcmul(self, tensor1: Tensor, tensor2: Tensor, *, value: Any = ..., out: Any = ...) -> Tensor:
        r"""Return input + value · tensor1 · tensor2."""
    def addcmul_(self, tensor1: Tensor, tensor2: Tensor, *, value: Any = ...) -> Tensor:
        r"""Compute ``addcmul`` in place."""
    def addmm(self, mat1: Tensor, mat2: Tensor, *, beta: Any = ..., alpha: Any = ..., out: Any = ...) -> Tensor:
        r"""Return beta · input + alpha · mat1 @ mat2."""
    def addmm_(self, mat1: Tensor, mat2: Tensor, *, beta: Any = ..., alpha: Any = ...) -> Tensor:
        r"""Compute ``addmm`` in place."""
    def addmv(self, mat: Tensor, vec: Tensor, *, beta: Any = ..., alpha: Any = ..., out: Any = ...) -> Tensor:
        r"""Return beta · input + alpha · mat @ vec."""
    def addmv_(self, mat: Tensor, vec: Tensor, *, beta: Any = ..., alpha: Any = ...) -> Tensor:
        r"""Compute ``addmv`` in place."""
    def addr(self, vec1: Tensor, vec2: Tensor, *, beta: Any = ..., alpha: Any = ..., out: Any = ...) -> Tensor:
        r"""Return beta · input + alpha · the outer product of two vectors."""
    def addr_(self, vec1: Tensor, vec2: Tensor, *, beta: Any = ..., alpha: Any = ...) -> Tensor:
        r"""Compute ``addr`` in place."""
    def adjoint(self, *, out: Any = ...) -> Tensor:
        r"""Return matrices transposed, and conjugated if they are complex."""
    def allclose(self, other: Any, rtol: float = ..., atol: float = ..., equal_nan: bool = ..., *, out: Any = ...) -> bool:
        r"""Say whether |input - other| <= atol + rtol |other| everywhere."""
    def aminmax(self, *, dim: Any = ..., axis: Any = ..., keepdim: bool = ..., keepdims: bool = ..., out: Any = ...) -> MinAndMax:
        r"""Return the smallest and the largest of all elements, or along a dimension."""
    def angle(self, *, out: Any = ...) -> Tensor:
        r"""Return the angles of complex numbers; of real ones 0, and π below 0."""
    def arccos(self, *, out: Any = ...) -> Tensor:
        r"""Return the angle with that cosine of each element."""
    def arccos_(self) -> Tensor:
        r"""Compute ``acos`` in place."""
    def arccosh(self, *, out: Any = ...) -> Tensor:
        r"""Return the inverse of the hyperbolic cosine of each element."""
    def arccosh_(self) -> Tensor:
        r"""Compute ``acosh`` in place."""
    def arcsin(self, *, out: Any = ...) -> Tensor:
        r"""Return the angle with that sine of each element."""
    def arcsin_(self) -> Tensor:
        r"""Compute ``asin`` in place."""
    def arcsinh(self, *, out: Any = ...) -> Tensor:
        r"""Return the inverse of the hyperbolic sine of each element."""
    def arcsinh_(self) -> Tensor:
        r"""Compute ``asinh`` in place."""
    def arctan(self, *, out: Any = ...) -> Tensor:
        r"""Return the angle with that tangent of each element."""
    def arctan2(self, other: Any, *, out: Any = ...) -> Tensor:
        r"""Return the angle of the point with ordinate ``input`` and abscissa ``other``, element by element, with broadcasting."""
    def arctan2_(self, other: Any) -> Tensor:
        r"""Compute ``atan2`` in place."""
    def arctan_(self) -> Tensor:
        r"""Compute ``atan`` in place."""
    def arctanh(self, *, out: Any = ...) -> Tensor:
        r"""Return the inverse of the hyperbolic tangent of each element."""
    def arctanh_(self) -> Tensor:
        r"""Compute ``atanh`` in place."""
    def argsort(self, dim: int = ..., descending: bool = ..., stable: bool = ..., *, axis: int = ..., out: Any = ...) -> Tensor:
        r"""Return the indices that sort the elements along a dimension, as ``sort`` does."""
    def argwhere(self, *, out: Any = ...) -> Tensor:
        r"""Return the indices of the elements that are not 0, (count, ndim), int64."""
    def as_strided(self, size: Any, stride: Any, storage_offset: int | None = ..., *, out: Any = ...) -> Tensor:
        r"""Return the elements of a contiguous tensor at places that begin and step as given; a view."""
    def asin(self, *, out: Any = ...) -> Tensor:
        r"""Return the angle with that sine of each element."""
    def asin_(self) -> Tensor:
        r"""Compute ``asin`` in place."""
    def asinh(self, *, out: Any = ...) -> Tensor:
        r"""Return the inverse of the hyperbolic sine of each element."""
    def asinh_(self) -> Tensor:
        r"""Compute ``asinh`` in place."""
    def atan(self, *, out: Any = ...) -> Tensor:
        r"""Return the angle with that tangent of each element."""
    def atan2(self, other: Any, *, out: Any = ...) -> Tensor:
        r"""Return the angle of the point with ordinate ``input`` and abscissa ``other``, element by element, with broadcasting."""
    def atan2_(self, other: Any) -> Tensor:
        r"""Compute ``atan2`` in place."""
    def atan_(self) -> Tensor:
        r"""Compute ``atan`` in place."""
    def atanh(self, *, out: Any = ...) -> Tensor:
        r"""Return the inverse of the hyperbolic tangent of each element."""
    def atanh_(self) -> Tensor:
        r"""Compute ``atanh`` in place."""
    def baddbmm(self, batch1: Tensor, batch2: Tensor, *, beta: Any = ..., alpha: Any = ..., out: Any = ...) -> Tensor:
        r"""Return beta · input + alpha · batch1 @ batch2, of batches of matrices."""
    def baddbmm_(self, batch1: Tensor, batch2: Tensor, *, beta: Any = ..., alpha: Any = ...) -> Tensor:
        r"""Compute ``baddbmm`` in place."""
    def bernoulli(self, p: float | None = ..., *, generator: Generator | None = ..., out: Any = ...) -> Tensor:
        r"""Return 1 with the probability that each element says (or with probability p), else 0."""
    def bernoulli_(self, p: Any = ..., *, generator: Any = ...) -> Tensor:
        r"""Write 1 with probability p, a number or a tensor, and 0 otherwise into every element."""
    def bincount(self, weights: Tensor | None = ..., minlength: int = ..., *, out: Any = ...) -> Tensor:
        r"""Return how often each integer from 0 on is there, or the sum of its weights."""
    def bitwise_and(self, other: Any, *, out: Any = ...) -> Tensor:
        r"""Return x & y of each pair of integers or booleans."""
    def bitwise_and_(self, other: Any) -> Tensor:
        r"""Compute ``bitwise_and`` in place."""
    def bitwise_left_shift(self, other: Any, *, out: Any = ...) -> Tensor:
        r"""Return x 2^y of integers, x << y."""
    def bitwise_left_shift_(self, other: Any) -> Tensor:
        r"""Compute ``bitwise_left_shift`` in place."""
    def bitwise_not(self, *, out: Any = ...) -> Tensor:
        r"""Return ~x of each integer or boolean."""
    def bitwise_not_(self) -> Tensor:
        r"""Compute ``bitwise_not`` in place."""
    def bitwise_or(self, other: Any, *, out: Any = ...) -> Tensor:
        r"""Return x | y of each pair of integers or booleans."""
    def bitwise_or_(self, other: Any) -> Tensor:
        r"""Compute ``bitwise_or`` in place."""
    def bitwise_right_shift(self, other: Any, *, out: Any = ...) -> Tensor:
        r"""Return ⌊x / 2^y⌋ of integers, x >> y."""
    def bitwise_right_shift_(self, other: Any) -> Tensor:
        r"""Compute ``bitwise_right_shift`` in place."""
    def bitwise_xor(self, other: Any, *, out: Any = ...) -> Tensor:
        r"""Return x ^ y of each pair of integers or booleans."""
    def bitwise_xor_(self, other: Any) -> Tensor:
        r"""Compute ``bitwise_xor`` in place."""
    def broadcast_to(self, size: Any, *, out: Any = ...) -> Tensor:
        r"""Return the tensor repeated to a shape; a view."""
    def ceil(self, *, out: Any = ...) -> Tensor:
        r"""Return the smallest whole number that is not below it, of each element."""
    def ceil_(self) -> Tensor:
        r"""Compute ``ceil`` in place."""
    def cholesky(self, upper: bool = ..., *, out: Any = ...) -> Tensor:
        r"""Return the lower triangular L with L Lᵀ = A of positive definite matrices, or its transpose."""
    def cholesky_inverse(self, upper: bool = ..., *, out: Any = ...) -> Tensor:
        r"""Return the inverse of the matrix with a factor of Cholesky's, (L Lᵀ)⁻¹."""
    def cholesky_solve(self, L: Tensor, upper: bool = ..., *, out: Any = ...) -> Tensor:
        r"""Return the solution X of L Lᵀ X = B."""
    def clamp_max(self, max: Any, *, out: Any = ...) -> Tensor:
        r"""Return each element, at most ``max``."""
    def clamp_max_(self, max: Any) -> Tensor:
        r"""Compute ``clamp_max`` in place."""
    def clamp_min(self, min: Any, *, out: Any = ...) -> Tensor:
        r"""Return each element, at least ``min``."""
    def clamp_min_(self, min: Any) -> Tensor:
        r"""Compute ``clamp_min`` in place."""
    def clip_(self, min: Any = ..., max: Any = ...) -> Tensor:
        r"""Limit the elements to the range from ``min`` to ``max``, numbers or tensors, in place."""
    def conj(self, *, out: Any = ...) -> Tensor:
        r"""Return the complex conjugates; a real tensor itself."""
    def conj_physical(self, *, out: Any = ...) -> Tensor:
        r"""Return the complex conjugates, as ``conj`` does."""
    def copysign(self, other: Any, *, out: Any = ...) -> Tensor:
        r"""Return the size of ``input`` with the sign of ``other``, whose -0 is negative."""
    def copysign_(self, other: Any) -> Tensor:
        r"""Compute ``copysign`` in place."""
    def corrcoef(self, *, out: Any = ...) -> Tensor:
        r"""Return the correlations of variables (rows) over observations (columns)."""
    def cos(self, *, out: Any = ...) -> Tensor:
        r"""Return the cosine of each element."""
    def cos_(self) -> Tensor:
        r"""Compute ``cos`` in place."""
    def cosh(self, *, out: Any = ...) -> Tensor:
        r"""Return the hyperbolic cosine of each element."""
    def cosh_(self) -> Tensor:
        r"""Compute ``cosh`` in place."""
    def count_nonzero(self, dim: Any = ..., *, axis: Any = ..., out: Any = ...) -> Tensor:
        r"""Return how many elements are not 0, in all or along dimensions."""
    def cov(self, *, correction: int = ..., fweights: Tensor | None = ..., aweights: Tensor | None = ..., out: Any = ...) -> Tensor:
        r"""Return the covariances of variables (rows) over observations (columns)."""
    def cross(self, other: Tensor, dim: int | None = ..., *, axis: int | None = ..., out: Any = ...) -> Tensor:
        r"""Return the cross products of vectors of 3 elements along a dimension."""
    def cummax(self, dim: int = ..., *, axis: int = ..., out: Any = ...) -> ValuesAndIndices:
        r"""Return the largest up to each element along a dimension, and where the last such one is."""
    def cummin(self, dim: int = ..., *, axis: int = ..., out: Any = ...) -> ValuesAndIndices:
        r"""Return the smallest up to each element along a dimension, and where the last such one is."""
    def cumprod(self, dim: int = ..., *, axis: int = ..., dtype: Any = ..., out: Any = ...) -> Tensor:
        r"""Return the products up to each element along a dimension; of integers in int64."""
    def cumprod_(self, dim: int, *, dtype: Any = ...) -> Tensor:
        r"""Compute ``cumprod`` in place."""
    def cumsum(self, dim: int = ..., *, axis: int = ..., dtype: Any = ..., out: Any = ...) -> Tensor:
        r"""Return the sums up to each element along a dimension; of integers in int64."""
    def cumsum_(self, dim: int, *, dtype: Any = ...) -> Tensor:
        r"""Compute ``cumsum`` in place."""
    def deg2rad(self, *, out: Any = ...) -> Tensor:
        r"""Return degrees as radians."""
    def deg2rad_(self) -> Tensor:
        r"""Compute ``deg2rad`` in place."""
    def det(self, *, out: Any = ...) -> Tensor:
        r"""Return the determinants of square matrices."""
    def detach_(self) -> Tensor:
        r"""Take the tensor itself out of the graph: it asks for no gradient any more."""
    def diag(self, diagonal: int = ..., *, out: Any = ...) -> Tensor:
        r"""Return the diagonal of a matrix, or the matrix that has a vector as its diagonal."""
    def diag_embed(self, offset: int = ..., dim1: int = ..., dim2: int = ..., *, out: Any = ...) -> Tensor:
        r"""Return matrices with the last dimension on a diagonal and 0 elsewhere."""
    def diagflat(self, offset: int = ..., *, out: Any = ...) -> Tensor:
        r"""Return the matrix with all elements, in row-major order, on a diagonal."""
    def diagonal(self, offset: int = ..., dim1: int = ..., dim2: int = ..., *, out: Any = ...) -> Tensor:
        r"""Return the diagonals of two dimensions as the last dimension; a view."""
    def diagonal_scatter(self, src: Tensor, offset: int = ..., dim1: int = ..., dim2: int = ..., *, out: Any = ...) -> Tensor:
        r"""Return the tensor with other values on the diagonals of two dimensions."""
    def diff(self, n: int = ..., dim: int = ..., prepend: Tensor | None = ..., append: Tensor | None = ..., *, axis: int = ..., out: Any = ...) -> Tensor:
        r"""Return the differences of neighbours along a dimension, n times over."""
    def dist(self, other: Any, p: float = ..., *, out: Any = ...) -> Tensor:
        r"""Return the p-norm of the difference of two tensors."""
    def divide(self, other: Any, *, rounding_mode: str | None = ..., out: Any = ...) -> Tensor:
        r"""Return x / y; integers become floats unless the quotient is rounded."""
    def divide_(self, other: Any, *, rounding_mode: str | None = ...) -> Tensor:
        r"""Compute ``div`` in place."""
    def dsplit(self, indices_or_sections: Any, *, out: Any = ...) -> tuple[Tensor, ...]:
        r"""Return the tensor split along the third dimension."""
    def eq_(self, other: Any) -> Tensor:
        r"""Compute ``eq`` in place."""
    def equal(self, other: Tensor, *, out: Any = ...) -> bool:
        r"""Say whether two tensors have one shape and the same elements."""
    def erf(self, *, out: Any = ...) -> Tensor:
        r"""Return the error function of each element."""
    def erf_(self) -> Tensor:
        r"""Compute ``erf`` in place."""
    def erfc(self, *, out: Any = ...) -> Tensor:
        r"""Return 1 less the error function of each element."""
    def erfc_(self) -> Tensor:
        r"""Compute ``erfc`` in place."""
    def erfinv(self, *, out: Any = ...) -> Tensor:
        r"""Return the inverse of the error function of each element."""
    def erfinv_(self) -> Tensor:
        r"""Compute ``erfinv`` in place."""
    def exp2(self, *, out: Any = ...) -> Tensor:
        r"""Return 2 to the power of each element."""
    def exp2_(self) -> Tensor:
        r"""Compute ``exp2`` in place."""
    def exp_(self) -> Tensor:
        r"""Compute ``exp`` in place."""
    def expm1(self, *, out: Any = ...) -> Tensor:
        r"""Return e^x - 1, exact near 0, of each element."""
    def expm1_(self) -> Tensor:
        r"""Compute ``expm1`` in place."""
    def exponential_(self, lambd: float = ..., *, generator: Any = ...) -> Tensor:
        r"""Write numbers of the exponential distribution with a rate into every element."""
    def fill_diagonal_(self, fill_value: Any, wrap: bool = ...) -> Tensor:
        r"""Write a value into the diagonal of a matrix; ``wrap`` begins it anew below a square."""
    def fix(self, *, out: Any = ...) -> Tensor:
        r"""Return the whole number without its fraction of each element."""
    def fix_(self) -> Tensor:
        r"""Compute ``trunc`` in place."""
    def flip(self, *axes: Any, dims: Any = ..., out: Any = ...) -> Tensor:
        r"""Return a copy with the elements in opposite order along dimensions."""
    def fliplr(self, *, out: Any = ...) -> Tensor:
        r"""Return a copy with the columns in opposite order."""
    def flipud(self, *, out: Any = ...) -> Tensor:
        r"""Return a copy with the rows in opposite order."""
    def float_power(self, exponent: Any, *, out: Any = ...) -> Tensor:
        r"""Return each element to a power, computed in float64, or in complex128."""
    def float_power_(self, exponent: Any) -> Tensor:
        r"""Compute ``float_power`` in place."""
    def floor(self, *, out: Any = ...) -> Tensor:
        r"""Return the largest whole number that is not above it, of each element."""
    def floor_(self) -> Tensor:
        r"""Compute ``floor`` in place."""
    def floor_divide(self, other: Any, *, out: Any = ...) -> Tensor:
        r"""Return ⌊x / y⌋."""
    def floor_divide_(self, other: Any) -> Tensor:
        r"""Compute ``floor_divide`` in place."""
    def fmax(self, other: Tensor, *, out: Any = ...) -> Tensor:
        r"""Return the larger of two elements; the other one where one is NaN."""
    def fmin(self, other: Tensor, *, out: Any = ...) -> Tensor:
        r"""Return the smaller of two elements; the other one where one is NaN."""
    def fmod(self, other: Any, *, out: Any = ...) -> Tensor:
        r"""Return what a division leaves, with the sign of ``input``: x - y trunc(x / y), C's fmod."""
    def fmod_(self, other: Any) -> Tensor:
        r"""Compute ``fmod`` in place."""
    def frac(self, *, out: Any = ...) -> Tensor:
        r"""Return each element less its whole part, with its sign."""
    def frac_(self) -> Tensor:
        r"""Compute ``frac`` in place."""
    def ge_(self, other: Any) -> Tensor:
        r"""Compute ``ge`` in place."""
    def ger(self, vec2: Tensor, *, out: Any = ...) -> Tensor:
        r"""Return the products of each element of one vector with each of another, (n, m)."""
    def greater(self, other: Any, *, out: Any = ...) -> Tensor:
        r"""Say of each element whether it is above ``other``."""
    def greater_(self, other: Any) -> Tensor:
        r"""Compute ``greater`` in place."""
    def greater_equal(self, other: Any, *, out: Any = ...) -> Tensor:
        r"""Say of each element whether it is at least ``other``."""
    def greater_equal_(self, other: Any) -> Tensor:
        r"""Compute ``greater_equal`` in place."""
    def gt_(self, other: Any) -> Tensor:
        r"""Compute ``gt`` in place."""
    def heaviside(self, values: Tensor, *, out: Any = ...) -> Tensor:
        r"""Return 0 below 0, 1 above it, and ``values`` at 0."""
    def histc(self, bins: int = ..., min: float = ..., max: float = ..., *, out: Any = ...) -> Tensor:
        r"""Return how many elements are in each of so many equal intervals from ``min`` to ``max``."""
    def hsplit(self, indices_or_sections: Any, *, out: Any = ...) -> tuple[Tensor, ...]:
        r"""Return the tensor split along the second dimension, a vector along its only one."""
    def hypot(self, other: Any, *, out: Any = ...) -> Tensor:
        r"""Return the root of the sum of the squares, element by element, with broadcasting."""
    def hypot_(self, other: Any) -> Tensor:
        r"""Compute ``hypot`` in place."""
    @property
    def imag(self) -> Tensor: ...
    def index_add(self, dim: int, index: Tensor, source: Tensor, *, axis: int = ..., alpha: Any = ..., out: Any = ...) -> Tensor:
        r"""Return the tensor with slices, times ``alpha``, added at indices along a dimension."""
    def index_add_(self, dim: int, index: Tensor, source: Tensor, *, alpha: Any = ...) -> Tensor:
        r"""Compute ``index_add`` in place."""
    def index_copy(self, dim: int, index: Tensor, source: Tensor, *, axis: int = ..., out: Any = ...) -> Tensor:
        r"""Return the tensor with slices replaced at indices along a dimension."""
    def index_copy_(self, dim: int, index: Tensor, source: Tensor) -> Tensor:
        r"""Compute ``index_copy`` in place."""
    def index_fill(self, dim: int, index: Tensor, value: Any, *, axis: int = ..., out: Any = ...) -> Tensor:
        r"""Return the tensor with one value in all slices at indices along a dimension."""
    def index_fill_(self, dim: int, index: Tensor, value: Any) -> Tensor:
        r"""Compute ``index_fill`` in place."""
    def index_put(self, indices: Any, values: Tensor, accumulate: bool = ..., *, out: Any = ...) -> Tensor:
        r"""Return the tensor with values at ``input[indices]``, added there if ``accumulate``."""
    def index_put_(self, indices: Any, values: Tensor, accumulate: bool = ...) -> Tensor:
        r"""Compute ``index_put`` in place."""
    def inner(self, other: Tensor, *, out: Any = ...) -> Tensor:
        r"""Return the sums of products over the last dimensions of two tensors."""
    def inverse(self, *, out: Any = ...) -> Tensor:
        r"""Return the inverse of square matrices."""
    def is_complex(self, *, out: Any = ...) -> bool:
        r"""Say whether a tensor holds complex numbers."""
    def isclose(self, other: Tensor, rtol: float = ..., atol: float = ..., equal_nan: bool = ..., *, out: Any = ...) -> Tensor:
        r"""Say of each pair whether |input - other| <= atol + rtol |other|."""
    def isneginf(self, *, out: Any = ...) -> Tensor:
        r"""Say of each element whether it is negative infinity."""
    def isposinf(self, *, out: Any = ...) -> Tensor:
        r"""Say of each element whether it is positive infinity."""
    def isreal(self, *, out: Any = ...) -> Tensor:
        r"""Say of each element whether its imaginary part is 0."""
    def istft(self, n_fft: int, hop_length: int | None = ..., win_length: int | None = ..., window: Tensor | None = ..., center: bool = ..., normalized: bool = ..., onesided: bool | None = ..., length: int | None = ..., return_complex: bool = ..., *, out: Any = ...) -> Tensor:
        r"""Return the signal whose short windows have such transforms: the inverse of ``stft``."""
    def kron(self, other: Tensor, *, out: Any = ...) -> Tensor:
        r"""Return the Kronecker product: each element of one tensor times the whole other one."""
    def kthvalue(self, k: int, dim: int = ..., keepdim: bool = ..., *, axis: int = ..., keepdims: bool = ..., out: Any = ...) -> ValuesAndIndices:
        r"""Return the k-th smallest element along a dimension, k from 1, and where it stands."""
    def ldexp(self, other: Any, *, out: Any = ...) -> Tensor:
        r"""Return x 2^y, rounded once if y is an integer: 2^y alone may be beyond the range."""
    def ldexp_(self, other: Any) -> Tensor:
        r"""Compute ``ldexp`` in place."""
    def le_(self, other: Any) -> Tensor:
        r"""Compute ``le`` in place."""
    def lerp(self, end: Any, weight: Any, *, out: Any = ...) -> Tensor:
        r"""Return input + weight (end - input), exact at both ends."""
    def lerp_(self, end: Any, weight: Any) -> Tensor:
        r"""Compute ``lerp`` in place."""
    def less(self, other: Any, *, out: Any = ...) -> Tensor:
        r"""Say of each element whether it is below ``other``."""
    def less_(self, other: Any) -> Tensor:
        r"""Compute ``less`` in place."""
    def less_equal(self, other: Any, *, out: Any = ...) -> Tensor:
        r"""Say of each element whether it is at most ``other``."""
    def less_equal_(self, other: Any) -> Tensor:
        r"""Compute ``less_equal`` in place."""
    def log10(self, *, out: Any = ...) -> Tensor:
        r"""Return the logarithm of base 10 of each element."""
    def log10_(self) -> Tensor:
        r"""Compute ``log10`` in place."""
    def log1p(self, *, out: Any = ...) -> Tensor:
        r"""Return log(1 + x), exact near 0, of each element."""
    def log1p_(self) -> Tensor:
        r"""Compute ``log1p`` in place."""
    def log2(self, *, out: Any = ...) -> Tensor:
        r"""Return the logarithm of base 2 of each element."""
    def log2_(self) -> Tensor:
        r"""Compute ``log2`` in place."""
    def log_(self) -> Tensor:
        r"""Compute ``log`` in place."""
    def logaddexp(self, other: Any, *, out: Any = ...) -> Tensor:
        r"""Return log(e^x + e^y), element by element, with broadcasting."""
    def logaddexp2(self, other: Any, *, out: Any = ...) -> Tensor:
        r"""Return log2(2^x + 2^y)."""
    def logaddexp2_(self, other: Any) -> Tensor:
        r"""Compute ``logaddexp2`` in place."""
    def logaddexp_(self, other: Any) -> Tensor:
        r"""Compute ``logaddexp`` in place."""
    def logcumsumexp(self, dim: int = ..., *, axis: int = ..., out: Any = ...) -> Tensor:
        r"""Return log Σ e^x up to each element along a dimension, without overflow."""
    def logdet(self, *, out: Any = ...) -> Tensor:
        r"""Return the logarithms of determinants, of real matrices NaN below 0."""
    def logical_and_(self, other: Any) -> Tensor:
        r"""Compute ``logical_and`` in place."""
    def logical_not_(self) -> Tensor:
        r"""Compute ``logical_not`` in place."""
    def logical_or_(self, other: Any) -> Tensor:
        r"""Compute ``logical_or`` in place."""
    def logical_xor_(self, other: Any) -> Tensor:
        r"""Compute ``logical_xor`` in place."""
    def logit(self, eps: float | None = ..., *, out: Any = ...) -> Tensor:
        r"""Return log(x / (1 - x)), of x held between ``eps`` and 1 - ``eps`` where that is given."""
    def logit_(self, eps: float | None = ...) -> Tensor:
        r"""Compute ``logit`` in place."""
    def lt_(self, other: Any) -> Tensor:
        r"""Compute ``lt`` in place."""
    @property
    def mH(self) -> Tensor: ...
    def masked_scatter(self, mask: Tensor, source: Tensor, *, out: Any = ...) -> Tensor:
        r"""Return the tensor with the first values of ``source`` in order where the mask is true."""
    def masked_scatter_(self, mask: Tensor, source: Tensor) -> Tensor:
        r"""Compute ``masked_scatter`` in place."""
    def matrix_exp(self, *, out: Any = ...) -> Tensor:
        r"""Return the exponential of square matrices, by the Taylor series of a part and squaring."""
    def matrix_power(self, n: int, *, out: Any = ...) -> Tensor:
        r"""Return square matrices to an integer power, of the inverse if it is negative."""
    def median(self, dim: Any = ..., keepdim: bool = ..., *, axis: Any = ..., keepdims: bool = ..., out: Any = ...) -> Any:
        r"""Return the median of all elements, or (values, indices) along a dimension."""
    def mode(self, dim: int = ..., keepdim: bool = ..., *, axis: int = ..., keepdims: bool = ..., out: Any = ...) -> ValuesAndIndices:
        r"""Return the smallest of the most frequent elements along a dimension, and where it is last."""
    def moveaxis(self, source: Any, destination: Any, *, out: Any = ...) -> Tensor:
        r"""Return the tensor with dimensions moved to other positions; the others stay in order."""
    def movedim(self, source: Any, destination: Any, *, out: Any = ...) -> Tensor:
        r"""Return the tensor with dimensions moved to other positions; the others stay in order."""
    def msort(self, *, out: Any = ...) -> Tensor:
        r"""Return the elements sorted along the first dimension."""
    def multinomial(self, num_samples: int, replacement: bool = ..., *, generator: Generator | None = ..., out: Any = ...) -> Tensor:
        r"""Return indices drawn with the weights of each row, int64."""
    def multiply(self, other: Any, *, out: Any = ...) -> Tensor:
        r"""Return self · other, element by element."""
    def multiply_(self, other: Any) -> Tensor:
        ...
    def mv(self, vec: Tensor, *, out: Any = ...) -> Tensor:
        r"""Return the product of a matrix and a vector."""
    def nan_to_num(self, nan: float | None = ..., posinf: float | None = ..., neginf: float | None = ..., *, out: Any = ...) -> Tensor:
        r"""Return the elements with NaN and the infinities replaced; these by the dtype's limits."""
    def nan_to_num_(self, nan: float | None = ..., posinf: float | None = ..., neginf: float | None = ...) -> Tensor:
        r"""Compute ``nan_to_num`` in place."""
    def nanmean(self, dim: Any = ..., keepdim: bool = ..., *, axis: Any = ..., keepdims: bool = ..., dtype: Any = ..., out: Any = ...) -> Tensor:
        r"""Return the mean of the elements that are not NaN, of all or along dimensions."""
    def nanmedian(self, dim: Any = ..., keepdim: bool = ..., *, axis: Any = ..., keepdims: bool = ..., out: Any = ...) -> Any:
        r"""Return the median as ``median`` does, of the elements that are not NaN."""
    def nanquantile(self, q: Any, dim: Any = ..., keepdim: bool = ..., *, axis: Any = ..., keepdims: bool = ..., interpolation: str = ..., out: Any = ...) -> Tensor:
        r"""Return quantiles as ``quantile`` does, of the elements that are not NaN."""
    def nansum(self, dim: Any = ..., keepdim: bool = ..., *, axis: Any = ..., keepdims: bool = ..., dtype: Any = ..., out: Any = ...) -> Tensor:
        r"""Return the sum of the elements that are not NaN, of all or along dimensions."""
    def ne_(self, other: Any) -> Tensor:
        r"""Compute ``ne`` in place."""
    def neg_(self) -> Tensor:
        r"""Compute ``neg`` in place."""
    def negative(self, *, out: Any = ...) -> Tensor:
        r"""Return minus each element."""
    def negative_(self) -> Tensor:
        r"""Compute ``neg`` in place."""
    def not_equal(self, other: Any, *, out: Any = ...) -> Tensor:
        r"""Say of each element whether it differs from ``other``."""
    def not_equal_(self, other: Any) -> Tensor:
        r"""Compute ``not_equal`` in place."""
    def outer(self, vec2: Tensor, *, out: Any = ...) -> Tensor:
        r"""Return the products of each element of one vector with each of another, (n, m)."""
    def pinverse(self, rcond: Any = ..., hermitian: bool = ..., *, atol: Any = ..., rtol: Any = ..., out: Any = ...) -> Tensor:
        r"""Return the pseudo-inverse of matrices."""
    def positive(self, *, out: Any = ...) -> Tensor:
        r"""Return the tensor itself."""
    def prod(self, dim: Any = ..., keepdim: bool = ..., *, axis: Any = ..., keepdims: bool = ..., dtype: Any = ..., out: Any = ...) -> Tensor:
        r"""Return the product of all elements, or along a dimension; of integers in int64."""
    def put(self, index: Tensor, source: Tensor, accumulate: bool = ..., *, out: Any = ...) -> Tensor:
        r"""Return the tensor with values at row-major indices, added there if ``accumulate``."""
    def put_(self, index: Tensor, source: Tensor, accumulate: bool = ...) -> Tensor:
        r"""Compute ``put`` in place."""
    def qr(self, mode: Any = ..., some: bool | None = ..., *, out: Any = ...) -> QR:
        r"""Return Q with orthonormal columns and the upper triangular R with Q R = A."""
    def quantile(self, q: Any, dim: Any = ..., keepdim: bool = ..., *, axis: Any = ..., keepdims: bool = ..., interpolation: str = ..., out: Any = ...) -> Tensor:
        r"""Return the q-quantiles of all elements, or along a dimension; NaN if an element is NaN."""
    def rad2deg(self, *, out: Any = ...) -> Tensor:
        r"""Return radians as degrees."""
    def rad2deg_(self) -> Tensor:
        r"""Compute ``rad2deg`` in place."""
    def random_(self, low: Any = ..., to: Any = ..., *, generator: Any = ...) -> Tensor:
        r"""Write whole numbers from ``low`` (or 0) up to, not including, ``to`` into every element."""
    def ravel(self, *, out: Any = ...) -> Tensor:
        r"""Return the elements in row-major order as a vector."""
    @property
    def real(self) -> Tensor: ...
    def reciprocal_(self) -> Tensor:
        r"""Compute ``reciprocal`` in place."""
    def relu_(self) -> Tensor:
        r"""Compute ``relu`` in place."""
    def remainder(self, other: Any, *, out: Any = ...) -> Tensor:
        r"""Return what a division leaves, with the sign of ``other``: x - y ⌊x / y⌋, Python's %."""
    def remainder_(self, other: Any) -> Tensor:
        r"""Compute ``remainder`` in place."""
    def renorm(self, p: float, dim: int, maxnorm: float, *, axis: int = ..., out: Any = ...) -> Tensor:
        r"""Return the tensor with each slice along a dimension scaled to a p-norm of at most maxnorm."""
    def renorm_(self, p: float, dim: int, maxnorm: float) -> Tensor:
        r"""Compute ``renorm`` in place."""
    def repeat_interleave(self, repeats: Any = ..., dim: int | None = ..., *, axis: int | None = ..., output_size: int | None = ..., out: Any = ...) -> Tensor:
        r"""Return each element (or each slice along a dimension) repeated."""
    def resolve_conj(self, *, out: Any = ...) -> Tensor:
        r"""Return the tensor itself: conjugates are computed at once."""
    def resolve_neg(self, *, out: Any = ...) -> Tensor:
        r"""Return the tensor itself: negatives are computed at once."""
    def roll(self, shifts: Any, dims: Any = ..., *, out: Any = ...) -> Tensor:
        r"""Return the elements moved along dimensions; what leaves at one end enters at the other."""
    def rot90(self, k: int = ..., dims: Any = ..., *, out: Any = ...) -> Tensor:
        r"""Return the tensor turned by 90 degrees k times in the plane of two dimensions."""
    def round(self, *, decimals: int = ..., out: Any = ...) -> Tensor:
        r"""Return the nearest number with so many decimals, the even one of two."""
    def round_(self, *, decimals: int = ...) -> Tensor:
        r"""Compute ``round`` in place."""
    def rsqrt_(self) -> Tensor:
        r"""Compute ``rsqrt`` in place."""
    def scatter(self, dim: int, index: Tensor, src: Any = ..., *, axis: int = ..., value: Any = ..., reduce: Any = ..., out: Any = ...) -> Tensor:
        r"""Return the tensor with values written at indices along a dimension."""
    def scatter_(self, dim: int, index: Tensor, src: Any = ..., *, value: Any = ..., reduce: Any = ...) -> Tensor:
        r"""Compute ``scatter`` in place."""
    def scatter_add(self, dim: int, index: Tensor, src: Tensor, *, axis: int = ..., out: Any = ...) -> Tensor:
        r"""Return the tensor with values added at indices along a dimension, which may repeat."""
    def scatter_add_(self, dim: int, index: Tensor, src: Tensor) -> Tensor:
        r"""Compute ``scatter_add`` in place."""
    def scatter_reduce(self, dim: int, index: Tensor, src: Any, reduce: str, *, axis: int = ..., include_self: bool = ..., out: Any = ...) -> Tensor:
        r"""Return the tensor with all values that have one index combined into its element."""
    def scatter_reduce_(self, dim: int, index: Tensor, src: Any, reduce: str, *, include_self: bool = ...) -> Tensor:
        r"""Compute ``scatter_reduce`` in place."""
    def select(self, dim: int, index: int, *, axis: int = ..., out: Any = ...) -> Tensor:
        r"""Return the slice at an index along a dimension, which it does not have any more; a view."""
    def select_scatter(self, src: Tensor, dim: int, index: int, *, axis: int = ..., out: Any = ...) -> Tensor:
        r"""Return the tensor with another slice at an index along a dimension."""
    def sgn(self, *, out: Any = ...) -> Tensor:
        r"""Return x / |x| of each element, 0 where it is 0: its sign if it is real."""
    def sgn_(self) -> Tensor:
        r"""Compute ``sgn`` in place."""
    def sigmoid_(self) -> Tensor:
        r"""Compute ``sigmoid`` in place."""
    def sign(self, *, out: Any = ...) -> Tensor:
        r"""Return -1, 0 or 1 as each element is negative, zero or positive; booleans stay."""
    def sign_(self) -> Tensor:
        r"""Compute ``sign`` in place."""
    def signbit(self, *, out: Any = ...) -> Tensor:
        r"""Say of each element whether it is negative, -0 included."""
    def sin(self, *, out: Any = ...) -> Tensor:
        r"""Return the sine of each element."""
    def sin_(self) -> Tensor:
        r"""Compute ``sin`` in place."""
    def sinc(self, *, out: Any = ...) -> Tensor:
        r"""Return sin(πx) / (πx) of each element."""
    def sinc_(self) -> Tensor:
        r"""Compute ``sinc`` in place."""
    def sinh(self, *, out: Any = ...) -> Tensor:
        r"""Return the hyperbolic sine of each element."""
    def sinh_(self) -> Tensor:
        r"""Compute ``sinh`` in place."""
    def slice_scatter(self, src: Tensor, dim: int = ..., start: Any = ..., end: Any = ..., step: int = ..., *, axis: int = ..., out: Any = ...) -> Tensor:
        r"""Return the tensor with other values from ``start`` to ``end`` along a dimension."""
    def slogdet(self, *, out: Any = ...) -> SlogDet:
        r"""Return the signs of determinants and the logarithms of their sizes."""
    def sort(self, dim: int = ..., descending: bool = ..., stable: bool = ..., *, axis: int = ..., out: Any = ...) -> ValuesAndIndices:
        r"""Return the elements sorted along a dimension, and where they stood."""
    def split_with_sizes(self, split_sizes: Any, dim: int = ..., *, axis: int = ..., out: Any = ...) -> tuple[Tensor, ...]:
        r"""Return the tensor split along a dimension into parts of the given sizes."""
    def sqrt_(self) -> Tensor:
        r"""Compute ``sqrt`` in place."""
    def square_(self) -> Tensor:
        r"""Compute ``square`` in place."""
    def squeeze_(self, dim: Dims = ...) -> Tensor:
        r"""Change the tensor itself as ``squeeze`` does; its elements stay in place."""
    def stft(self, n_fft: int, hop_length: int | None = ..., win_length: int | None = ..., window: Tensor | None = ..., center: bool = ..., pad_mode: str = ..., normalized: bool = ..., onesided: bool | None = ..., return_complex: bool | None = ..., align_to_window: bool | None = ..., *, out: Any = ...) -> Tensor:
        r"""Return the Fourier transforms of short windows of a signal."""
    def subtract(self, other: Any, *, alpha: float = ..., out: Any = ...) -> Tensor:
        r"""Return self − alpha · other."""
    def subtract_(self, other: Any, *, alpha: float = ...) -> Tensor:
        r"""Subtract alpha · other in place."""
    def svd(self, some: bool = ..., compute_uv: bool = ..., *, out: Any = ...) -> USV:
        r"""Return U, S and V of A = U diag(S) Vᵀ: ``linalg.svd``, which returns Vᵀ, is the newer one."""
    def swapaxes(self, axis0: int, axis1: int, *, out: Any = ...) -> Tensor:
        r"""Return the tensor with two dimensions exchanged."""
    def swapaxes_(self, axis0: int, axis1: int) -> Tensor:
        r"""Change the tensor itself as ``swapaxes`` does; its elements stay in place."""
    def swapdims(self, dim0: int, dim1: int, *, out: Any = ...) -> Tensor:
        r"""Return the tensor with two dimensions exchanged."""
    def swapdims_(self, dim0: int, dim1: int) -> Tensor:
        r"""Change the tensor itself as ``swapdims`` does; its elements stay in place."""
    def t_(self) -> Tensor:
        r"""Change the tensor itself as ``t`` does; its elements stay in place."""
    def take(self, index: Tensor, *, out: Any = ...) -> Tensor:
        r"""Return the elements at row-major indices, in the shape of the index."""
    def take_along_dim(self, indices: Tensor, dim: int | None = ..., *, axis: int | None = ..., out: Any = ...) -> Tensor:
        r"""Return the elements at indices along a dimension; both are broadcast along the others."""
    def tan(self, *, out: Any = ...) -> Tensor:
        r"""Return the tangent of each element."""
    def tan_(self) -> Tensor:
        r"""Compute ``tan`` in place."""
    def tanh_(self) -> Tensor:
        r"""Compute ``tanh`` in place."""
    def tensor_split(self, indices_or_sections: Any = ..., dim: int = ..., *, axis: int = ..., indices: Any = ..., sections: Any = ..., out: Any = ...) -> tuple[Tensor, ...]:
        r"""Return the tensor split along a dimension, into so many parts or at indices; views."""
    def tile(self, *repeats: Any, dims: Any = ..., out: Any = ...) -> Tensor:
        r"""Return the whole tensor repeated along dimensions; missing numbers in front are 1."""
    def topk(self, k: int, dim: int = ..., largest: bool = ..., sorted: bool = ..., *, axis: int = ..., out: Any = ...) -> ValuesAndIndices:
        r"""Return the k largest (or smallest) elements along a dimension in order, and where they stand."""
    def trace(self, *, out: Any = ...) -> Tensor:
        r"""Return the sum of the diagonal of a matrix."""
    def transpose_(self, dim0: int, dim1: int) -> Tensor:
        r"""Change the tensor itself as ``transpose`` does; its elements stay in place."""
    def tril(self, diagonal: int = ..., *, out: Any = ...) -> Tensor:
        r"""Return matrices with 0 above a diagonal, which is the main one for 0, one above it for 1."""
    def tril_(self, diagonal: int = ...) -> Tensor:
        r"""Compute ``tril`` in place."""
    def triu(self, diagonal: int = ..., *, out: Any = ...) -> Tensor:
        r"""Return matrices with 0 below a diagonal, which is the main one for 0, one above it for 1."""
    def triu_(self, diagonal: int = ...) -> Tensor:
        r"""Compute ``triu`` in place."""
    def true_divide(self, other: Any, *, rounding_mode: str | None = ..., out: Any = ...) -> Tensor:
        r"""Return x / y; integers become floats unless the quotient is rounded."""
    def true_divide_(self, other: Any, *, rounding_mode: str | None = ...) -> Tensor:
        r"""Compute ``div`` in place."""
    def trunc(self, *, out: Any = ...) -> Tensor:
        r"""Return the whole number without its fraction of each element."""
    def trunc_(self) -> Tensor:
        r"""Compute ``trunc`` in place."""
    def unfold(self, dimension: int, size: int, step: int, *, out: Any = ...) -> Tensor:
        r"""Return windows of a dimension as a new last dimension; a view."""
    def unique(self, sorted: bool = ..., return_inverse: bool = ..., return_counts: bool = ..., dim: int | None = ..., *, axis: int | None = ..., out: Any = ...) -> Any:
        r"""Return the different elements in order, or the different slices along a dimension."""
    def unique_consecutive(self, return_inverse: bool = ..., return_counts: bool = ..., dim: int | None = ..., *, axis: int | None = ..., out: Any = ...) -> Any:
        r"""Return the elements (or the slices along a dimension) without repetitions in a row."""
    def unsafe_chunk(self, chunks: int, dim: int = ..., *, axis: int = ..., out: Any = ...) -> tuple[Tensor, ...]:
        r"""Return what ``chunk`` does."""
    def unsafe_split(self, split_size: Any, dim: int = ..., *, axis: int = ..., out: Any = ...) -> tuple[Tensor, ...]:
        r"""Return what ``split`` does."""
    def unsqueeze_(self, dim: int) -> Tensor:
        r"""Change the tensor itself as ``unsqueeze`` does; its elements stay in place."""
    def vdot(self, other: Tensor, *, out: Any = ...) -> Tensor:
        r"""Return the sum of the products of two vectors, the first one conjugated."""
    def vsplit(self, indices_or_sections: Any, *, out: Any = ...) -> tuple[Tensor, ...]:
        r"""Return the tensor split along the first dimension."""
    def xlogy(self, other: Any, *, out: Any = ...) -> Tensor:
        r"""Return x log y, 0 where x is 0."""
    def xlogy_(self, other: Any) -> Tensor:
        r"""Compute ``xlogy`` in place."""
