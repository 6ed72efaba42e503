"""What to write instead of PyTorch's names that nnscratch has not, in lines of code that run.

A key is PyTorch's name without "torch.", or a pattern of such names; the first that fits counts.
In the code ``x`` is a matrix of floats, ``v`` a vector of them, ``i`` one of integers and ``mask``
one of booleans in the shape of ``x``; ``f`` is a function of a tensor, ``n`` a number, and
``model``, ``optimizer``, ``dataset`` and ``path`` are what they are called. What stands behind
``#`` says why.
"""

from __future__ import annotations

_SCIPY = "from scipy import special; special.{}(x.numpy())  # without a gradient"
_DENSE = "x.masked_fill(~mask, 0.0)  # tensors are dense; a mask says what counts"
_HALF = "model.half()  # float16 is the smallest dtype of weights: there are no quantised tensors"
_ONE_DEVICE = "model(x)  # one device computes all: there is no distributed or parallel training"
_COMPILE = "nnscratch.compile(f)  # records a function once and replays it"
_RECORD = "from nnscratch.graph import record; print(record(model, x))  # the graph of what ran"
_SIZE = "  # say the size of the input: there are no lazy modules"
_MEMORY = "x.numpy()  # the memory of a tensor is a NumPy array"
_AUTOCAST = "nnscratch.autocast('cpu', enabled=False)  # there is no mixed precision"
_WINDOW = "nnscratch.tensor(np.{}(n + 1)[:-1]).float()  # n numbers of a periodic window"
_EXPORT = "nnscratch.save(model.state_dict(), path)  # safetensors, which other libraries read"
_CUDA_NAME = "nnscratch.cuda.is_available() and nnscratch.cuda.get_device_name()"
_CUDA_MEMORY = "nnscratch.cuda.memory_allocated()"
_CUDA_WAIT = "nnscratch.cuda.is_available() and nnscratch.cuda.synchronize()"
_POLYNOMIALS = {
    "chebyshev_polynomial_t": "chebyt",
    "chebyshev_polynomial_u": "chebyu",
    "shifted_chebyshev_polynomial_t": "sh_chebyt",
    "shifted_chebyshev_polynomial_u": "sh_chebyu",
    "hermite_polynomial_h": "hermite",
    "hermite_polynomial_he": "hermitenorm",
    "laguerre_polynomial_l": "laguerre",
    "legendre_polynomial_p": "legendre",
}
_VIEWS = {
    "as_strided": "(2,), (1,)",
    "detach": "",
    "diagonal": "",
    "expand": "(2, 3, 3)",
    "narrow": "0, 0, 2",
    "permute": "(1, 0)",
    "select": "0, 1",
    "squeeze": "",
    "t": "",
    "transpose": "0, 1",
    "unfold": "0, 2, 1",
    "unsqueeze": "0",
    "view": "(9,)",
}

INSTEAD: dict[str, str] = {
    # Functions over batches and of parameters; derivatives.
    "vmap": "nnscratch.stack([f(row) for row in x])  # or let f take a batch at once",
    "func": "nnscratch.autograd.functional.jacobian(f, x)  # vjp, jvp, hessian stand there too",
    "autograd.forward_ad": "nnscratch.autograd.functional.jvp(f, x, x)",
    "autograd.graph": "(x.requires_grad_() * 2).register_hook(print)  # a gradient as it passes",
    "autograd.profiler*": "nnscratch.explain(model, x)  # each call, its shapes and its costs",
    "profiler": "nnscratch.explain(model, x)  # each call, its shapes and its costs",
    "set_anomaly_enabled": "nnscratch.autograd.set_detect_anomaly(False)",
    "nn.utils.stateless": "nn.functional.linear(x, model.weight, model.bias)  # given its weights",
    # Tracing, export, other places to compute.
    "jit": _COMPILE,
    "compiler": _COMPILE,
    "fx": _RECORD,
    "export": _RECORD,
    "onnx": "from nnscratch.interop import onnx; onnx.export(model, x, path)",
    "package": _EXPORT,
    "hub": "nnscratch.load(path)  # files of weights, in the safetensors format",
    "utils.model_zoo": "nnscratch.load(path)  # files of weights, in the safetensors format",
    "distributed": _ONE_DEVICE,
    "nn.parallel": _ONE_DEVICE,
    "nn.DataParallel": _ONE_DEVICE,
    "nn.SyncBatchNorm": "nn.BatchNorm2d(3)  # one device has the whole batch",
    "utils.data.Distributed*": "nnscratch.utils.data.RandomSampler(dataset)  # of one process",
    "multiprocessing": "import multiprocessing  # x.numpy() is what is sent",
    "futures": "import concurrent.futures",
    "accelerator": "nnscratch.cuda.is_available()  # devices are cpu and cuda",
    "mps": "nnscratch.backends.mps.is_available()  # False: devices are cpu and cuda",
    "xpu": "nnscratch.cuda.is_available()  # devices are cpu and cuda",
    "mtia": "nnscratch.cuda.is_available()  # devices are cpu and cuda",
    "set_default_device": "nnscratch.ones(2, device='cpu')  # a tensor's device is said",
    "get_default_device": "nnscratch.ones(1).device",
    "cpu": "nnscratch.device('cpu')",
    # Dtypes, layouts, storages.
    "float[48]_*": "nnscratch.float16",
    "complex32": "nnscratch.complex64",
    "chalf": "nnscratch.complex64",
    "Tensor.chalf": "x.cfloat()",
    "qint*": _HALF,
    "quint*": _HALF,
    "q_*": _HALF,
    "quantize*": _HALF,
    "dequantize": _HALF,
    "fake_quantize_*": _HALF,
    "fbgemm_*quantize*": _HALF,
    "empty_quantized": _HALF,
    "backends.quantized": _HALF,
    "quantization": _HALF,
    "ao": _HALF,
    "nn.quant*": _HALF,
    "nn.qat": _HALF,
    "nn.intrinsic": _HALF,
    "Tensor.int_repr": _HALF,
    "Tensor.sparse_mask": _DENSE,
    "Tensor.to_dense": "x  # tensors are dense",
    "Tensor.coalesce": "x  # tensors are dense",
    "Tensor.is_coalesced": "False  # tensors are dense",
    "Tensor.sparse_dim": "0  # tensors are dense",
    "Tensor.dense_dim": "x.dim()  # tensors are dense",
    "Tensor.crow_indices": "nn.functional.pad((x != 0).sum(1).cumsum(0), (1, 0))",
    "Tensor.col_indices": "x.nonzero()[:, 1]",
    "Tensor.indices": "x.nonzero().T  # tensors are dense",
    "Tensor.values": "x[x != 0]  # tensors are dense",
    "sparse*": _DENSE,
    "cuda.sparse": _DENSE,
    "Tensor.to_sparse*": _DENSE,
    "Tensor.sparse_resize_": "x.new_zeros(2, 5)  # a tensor keeps its size",
    "Tensor.resize_as_sparse_": "x.new_zeros(2, 5)  # a tensor keeps its size",
    "masked": "x.masked_fill(~mask, 0.0).sum()  # filled with what changes nothing",
    "nested": "nn.utils.rnn.pad_sequence([v, v[:2]], batch_first=True)",
    **{name: "x @ x  # tensors are dense" for name in ("hsmm", "dsmm", "hspmm")},
    "sspaddmm": "x + x @ x  # tensors are dense",
    "Tensor.smm": "x @ x  # tensors are dense",
    "spmm": "x @ x  # tensors are dense",
    "layout": "x.is_contiguous()  # tensors are dense; strides are x.stride()",
    "strided": "x.is_contiguous()  # tensors are dense; strides are x.stride()",
    "Tensor.layout": "x.is_contiguous()  # tensors are dense; strides are x.stride()",
    "memory_format": "x.contiguous()  # elements are in row-major order",
    "Tensor.storage": _MEMORY,
    "Tensor.untyped_storage": _MEMORY,
    "Tensor.storage_offset": "x.data_ptr()  # in bytes: views are NumPy's and know no storage",
    "storage": _MEMORY,
    "is_storage": _MEMORY,
    "StorageBase": _MEMORY,
    "Tensor.storage_type": _MEMORY,
    "[A-Z]*Storage": _MEMORY,
    "cuda.[A-Z]*Storage": _MEMORY,
    "to_dlpack": "np.from_dlpack(x)  # a tensor has __dlpack__, which other libraries take",
    "utils.dlpack": "nnscratch.as_tensor(np.ones(3))  # what has __dlpack__ becomes a tensor",
    "frombuffer": "nnscratch.from_numpy(np.frombuffer(bytearray(8), dtype='uint8'))",
    "from_file": "nnscratch.from_numpy(np.fromfile(path, dtype='uint8'))",
    "Tensor.new": "x.new_zeros(2, 3)  # or x.new_tensor([1.0])",
    "Tensor.resize*": "x.reshape(9)  # or x.new_zeros(2, 5): a tensor keeps its size",
    "Tensor.set_": "x.data = x * 2",
    "Tensor.apply_": "x.copy_(f(x))  # or nnscratch.tensor([g(n) for n in x.tolist()])",
    "Tensor.map*_": "x.copy_(f(x))",
    "Tensor.record_stream": "x.clone()  # calls on a GPU run in one stream, in their order",
    "Tensor.is_pinned": "False  # no memory is pinned",
    "Tensor.as_subclass": "nn.Parameter(x)",
    "Tensor.module_load": "x.copy_(x)",
    "get_device": "x.get_device()",
    "version": "nnscratch.__version__",
    "testing": "np.testing.assert_allclose(x, x, rtol=1e-5)",
    "is_inference_mode_enabled": "not nnscratch.is_grad_enabled()",
    "result_type": "(x * 2.0).dtype",
    "can_cast": (
        "to = i.dtype; both = nnscratch.promote_types(x.dtype, to); "
        "both.kind.replace('u', 'i') == to.kind.replace('u', 'i')"
    ),
    "typename": "x.type()",
    "is_nonzero": "bool(x[0, 0] != 0)",
    "Tensor.is_nonzero": "bool(x[0, 0] != 0)",
    "is_signed": "x.is_signed()",
    "is_same_size": "x.shape == x.shape",
    "Tensor.is_inference": "False  # inference_mode only records no graph",
    # Autocast; settings.
    "set_autocast*": _AUTOCAST,
    "autocast_*crement_nesting": _AUTOCAST,
    "clear_autocast_cache": _AUTOCAST,
    "is_autocast_*": "False  # there is no mixed precision",
    "set_flush_denormal": "x.masked_fill(x.abs() < 1e-38, 0.0)",
    "set_deterministic_debug_mode": "nnscratch.use_deterministic_algorithms(True)  # always so",
    "get_deterministic_debug_mode": "2 * nnscratch.are_deterministic_algorithms_enabled()",
    "utils.deterministic": "nnscratch.use_deterministic_algorithms(True)  # it is always so",
    # Modules.
    "nn.LazyLinear": "nn.Linear(3, 5)" + _SIZE,
    **{f"nn.LazyConvTranspose{d}d": f"nn.ConvTranspose{d}d(3, 5, 2)" + _SIZE for d in (1, 2, 3)},
    **{f"nn.LazyConv{d}d": f"nn.Conv{d}d(3, 5, 2)" + _SIZE for d in (1, 2, 3)},
    **{f"nn.LazyBatchNorm{d}d": f"nn.BatchNorm{d}d(3)" + _SIZE for d in (1, 2, 3)},
    **{f"nn.LazyInstanceNorm{d}d": f"nn.InstanceNorm{d}d(3)" + _SIZE for d in (1, 2, 3)},
    "nn.Uninitialized*": "nn.Parameter(nnscratch.empty(2, 3))" + _SIZE,
    "nn.CrossMapLRN2d": "nn.LocalResponseNorm(5)",
    "nn.NLLLoss2d": "nn.NLLLoss()",
    "nn.Container": "nn.Sequential(model)",
    "nn.modules": "nn.Linear  # all modules are in nnscratch.nn",
    **{
        name: "nnscratch.autograd.grad(f(x.requires_grad_()).sum(), x)"
        for name in ("nn.grad", "nn.functional.grad")
    },
    "nn.Module.register_backward_hook": "model.register_full_backward_hook(print)",
    "nn.Module.to_empty": "model.to('cpu')  # there is no device without memory",
    "nn.Module.register_*state_dict_pre_hook": (
        "model.load_state_dict({**model.state_dict()})  # changed"
    ),
    "nn.utils.prune": "model.weight.data.mul_(mask)  # once, or after each step",
    "nn.utils.clip_grad_norm": "nn.utils.clip_grad_norm_(model.parameters(), 1.0)",
    "nn.utils.clip_grad": "nn.utils.clip_grad_norm_(model.parameters(), 1.0)",
    "nn.utils.convert_conv*": "model(x)  # weights lie as the kernels like them",
    "nn.utils.convert_parameters": "nn.utils.parameters_to_vector(model.parameters())",
    "nn.functional.pdist": "nnscratch.cdist(x, x)[nnscratch.triu_indices(3, 3, 1).unbind()]",
    "pdist": "nnscratch.cdist(x, x)[nnscratch.triu_indices(3, 3, 1).unbind()]",
    "nn.functional.*max_pool?d_with_indices": (
        "nn.functional.max_pool1d(x, 2, return_indices=True)  # return_indices= is in all of them"
    ),
    "nn.functional.conv_tbc": "nn.functional.conv1d(x, x[None])  # channels before time",
    "conv_tbc": "nn.functional.conv1d(x, x[None])  # channels before time",
    "nn.functional.*grouped_mm": "nnscratch.bmm(x[None], x[None])",
    "nn.functional.scaled_mm": "(x * 0.5) @ (x * 2.0)  # scaled before",
    "max_pool?d_with_indices": "nn.functional.max_pool1d(x, 2, return_indices=True)",
    "affine_grid_generator": "nn.functional.affine_grid(x[None, :2], (1, 1, 4, 4), False)",
    "grid_sampler*": "nn.functional.grid_sample  # mode=, padding_mode=, align_corners=",
    **{f"rnn_{one}": f"nn.RNN(3, 5, nonlinearity={one!r})(x)" for one in ("tanh", "relu")},
    **{f"rnn_{one}_cell": f"nn.RNNCell(3, 5, nonlinearity={one!r})(x)" for one in ("tanh", "relu")},
    **{kind.lower(): f"nn.{kind}(3, 5)(x)" for kind in ("LSTM", "GRU")},
    **{f"{kind.lower()}_cell": f"nn.{kind}Cell(3, 5)(x)" for kind in ("LSTM", "GRU")},
    # Data.
    "utils.checkpoint": "model(x)  # activations are kept; a smaller batch takes less memory",
    "utils.tensorboard": "print(nnscratch.ones(1).item())  # or a writer of tensorboardX",
    "utils.data.*Pipe*": "nnscratch.utils.data.IterableDataset()",
    "utils.data.datapipes": "nnscratch.utils.data.IterableDataset()",
    "utils.data.dataset": "nnscratch.utils.data.Dataset  # all its names are in utils.data",
    "utils.data.sampler": "nnscratch.utils.data.Sampler  # all its names are in utils.data",
    "utils.data.dataloader": "nnscratch.utils.data.DataLoader  # all its names are in utils.data",
    "utils.data._utils": "nnscratch.utils.data.default_collate  # all its names are in utils.data",
    # Random numbers.
    "distributions": "nnscratch.normal(x, 1.0)  # bernoulli, poisson, ...; densities by hand",
    "binomial": "(nnscratch.rand(10, 3) < 0.5).sum(0)",
    "quasirandom": "from scipy.stats import qmc; nnscratch.tensor(qmc.Sobol(3).random(8)).float()",
    "thread_safe_generator": "nnscratch.Generator(7)",
    "Tensor.cauchy_": "x.uniform_(-0.5, 0.5).mul_(nnscratch.pi).tan_()",
    "Tensor.log_normal_": "x.normal_(1.0, 2.0).exp_()",
    "Tensor.geometric_": "x.exponential_(-math.log1p(-0.25)).ceil_()  # of p = 0.25",
    # Linear algebra.
    "eig": "np.linalg.eig(x.numpy())  # or nnscratch.linalg.eigh(x) of a symmetric matrix",
    "Tensor.eig": "np.linalg.eig(x.numpy())  # or nnscratch.linalg.eigh(x) if symmetric",
    "linalg.eig": "np.linalg.eig(x.numpy())  # or nnscratch.linalg.eigh(x) if symmetric",
    "linalg.eigvals": "np.linalg.eigvals(x.numpy())  # or nnscratch.linalg.eigvalsh(x)",
    "lobpcg": "nnscratch.linalg.eigh(x)  # all eigenvalues, in ascending order",
    "symeig": "nnscratch.linalg.eigh(x)",
    "triangular_solve": "nnscratch.linalg.solve_triangular(x.triu(), x, upper=True)",
    "svd_lowrank": "nnscratch.svd(x)  # the first columns of each",
    "pca_lowrank": "nnscratch.svd(x - x.mean(0))  # the first columns of each",
    "linalg.lu": "from scipy import linalg; linalg.lu(x.numpy())  # without a gradient",
    "linalg.lu_*": "nnscratch.linalg.solve(x, x)",
    **{name: "nnscratch.linalg.solve(x, x)" for name in ("lu", "lu_solve", "lu_unpack")},
    "linalg.ldl_*": "nnscratch.linalg.solve(x, x)",
    "linalg.householder_product": "nnscratch.linalg.qr(x)[0]",
    "geqrf": "nnscratch.linalg.qr(x)  # Q and R themselves",
    "orgqr": "nnscratch.linalg.qr(x)[0]",
    "ormqr": "nnscratch.linalg.qr(x)[0] @ x",
    "frobenius_norm": "nnscratch.linalg.matrix_norm(x)",
    "nuclear_norm": "nnscratch.linalg.matrix_norm(x, 'nuc')",
    "norm_except_dim": "nnscratch.linalg.vector_norm(x, dim=1, keepdim=True)",
    # Special functions and others that NumPy or SciPy have.
    "i0": "np.i0(x.numpy())  # without a gradient",
    "special.i0": "np.i0(x.numpy())  # without a gradient",
    "lgamma": "np.vectorize(math.lgamma)(x.numpy())  # without a gradient",
    "special.gammaln": "np.vectorize(math.lgamma)(x.numpy())  # without a gradient",
    "digamma": _SCIPY.format("digamma"),
    "special.digamma": _SCIPY.format("digamma"),
    "special.psi": _SCIPY.format("psi"),
    "polygamma": "from scipy import special; special.polygamma(1, x.numpy())  # without a gradient",
    "special.polygamma": "from scipy import special; special.polygamma(1, x.numpy())",
    "mvlgamma": "from scipy import special; special.multigammaln(4.0, 2)  # without a gradient",
    "special.multigammaln": "from scipy import special; special.multigammaln(4.0, 2)",
    "igamma": "from scipy import special; special.gammainc(x.numpy(), x.numpy())",
    "igammac": "from scipy import special; special.gammaincc(x.numpy(), x.numpy())",
    "special.gammainc": "from scipy import special; special.gammainc(x.numpy(), x.numpy())",
    "special.gammaincc": "from scipy import special; special.gammaincc(x.numpy(), x.numpy())",
    "special.zeta": "from scipy import special; special.zeta(x.numpy(), 1.0)",
    **{f"special.{name}": _SCIPY.format(name) for name in ("i0e", "i1", "i1e", "erfcx")},
    "special.airy_ai": "from scipy import special; special.airy(x.numpy())[0]",
    "special.spherical_bessel_j0": "nnscratch.sinc(x / nnscratch.pi)",
    **{f"special.bessel_{name}": _SCIPY.format(name) for name in ("j0", "j1", "y0", "y1")},
    **{f"special.modified_bessel_{name}": _SCIPY.format(name) for name in ("i0", "i1", "k0", "k1")},
    **{
        f"special.scaled_modified_bessel_{name}": _SCIPY.format(name + "e") for name in ("k0", "k1")
    },
    **{
        f"special.{name}": f"from scipy import special; special.eval_{kind}(2, x.numpy())"
        for name, kind in _POLYNOMIALS.items()
    },
    **{
        f"special.{shifted}chebyshev_polynomial_{name}": (
            f"from scipy import special; u = special.eval_{kind}; "
            f"u(2, x.numpy()) {sign} u(1, x.numpy())"
        )
        for shifted, kind in (("", "chebyu"), ("shifted_", "sh_chebyu"))
        for name, sign in (("v", "-"), ("w", "+"))
    },
    "frexp": "np.frexp(x.numpy())",
    "gcd": "np.gcd(i.numpy(), i.numpy())",
    "lcm": "np.lcm(i.numpy(), i.numpy())",
    "nextafter": "np.nextafter(x.numpy(), np.float32(1.0))",
    "histogram": "np.histogram(x.numpy(), bins=3)  # or nnscratch.histc(x, 3)",
    "histogramdd": "np.histogramdd(x.numpy(), bins=3)",
    "gradient": "np.gradient(v.numpy())  # or nnscratch.diff(v), through which gradients flow",
    "nonzero_static": "x.nonzero()[:n]  # n rows; more than there are, by nn.functional.pad",
    "segment_reduce": "nnscratch.stack([part.sum() for part in v.split([3, 1])])",
    "index_reduce": "v.new_ones(3).scatter_reduce(0, i, v, 'prod')",
    "Tensor.index_reduce_": "v.new_ones(3).scatter_reduce_(0, i, v, 'prod')",
    "hash_tensor": "np.bitwise_xor.reduce(x.double().numpy().view('uint64'), axis=None)",
    # Of the windows NumPy's are symmetric; PyTorch's are periodic unless it is told.
    "hann_window": _WINDOW.format("hanning"),
    "hamming_window": _WINDOW.format("hamming"),
    "blackman_window": _WINDOW.format("blackman"),
    "bartlett_window": _WINDOW.format("bartlett"),
    "kaiser_window": "nnscratch.tensor(np.kaiser(n + 1, 12.0)[:-1]).float()",
    "signal": "nnscratch.tensor(np.hanning(n)).float()  # NumPy's windows are symmetric",
    # Other forms of what is there.
    "rsub": "1.0 - x",
    "fill": "nnscratch.full_like(x, 1.0)",
    "range": "nnscratch.arange(0.0, 5.0)  # without its end",
    "scalar_tensor": "nnscratch.tensor(1.0)",
    "empty_strided": "nnscratch.empty(2, 3)",
    "Tensor.new_empty_strided": "x.new_empty((2, 3))",
    "empty_permuted": "nnscratch.empty(2, 3)",
    "constant_pad_nd": "nn.functional.pad(x, (1, 1))",
    "Tensor.sum_to_size": "x.sum(0, keepdim=True)",
    **{f"{name}_copy": f"x.{name}({given}).clone()" for name, given in _VIEWS.items()},
    "alias_copy": "x.clone()",
    "slice_copy": "x[0:2].clone()  # dim=0, start=0, end=2",
    "unbind_copy": "[one.clone() for one in x.unbind()]",
    "split_copy": "[one.clone() for one in x.split(2)]",
    "split_with_sizes_copy": "[one.clone() for one in x.split([1, 2])]",
    "view_as_real_copy": "nnscratch.view_as_real(x.cfloat()).clone()",
    "view_as_complex_copy": "nnscratch.view_as_complex(v.view(2, 2)).clone()",
    "as_strided_scatter": "y = x.clone(); y.as_strided((2,), (1,)).copy_(v[:2]); y",
    "Tensor.as_strided_": "x.as_strided((2,), (1,))",
    "Tensor.heaviside_": "x.copy_(nnscratch.heaviside(x, x))",
    "Tensor.index": "x[i]",
    "unsafe_split_with_sizes": "x.split([1, 2])",
    "Tensor.unsafe_split_with_sizes": "x.split([1, 2])",
    "native_batch_norm": "nn.functional.batch_norm(x, None, None, training=True)  # the first of 3",
    "native_group_norm": "nn.functional.group_norm(x, 3)  # the first of 3",
    "native_layer_norm": "nn.functional.layer_norm(x, (3,))  # the first of 3",
    "native_dropout": "nn.functional.dropout(x)",
    "feature_dropout": "nn.functional.dropout1d(x[None])",
    # PyTorch's functions of these names take their arguments in another order.
    "batch_norm": "nn.functional.batch_norm(x, v[:3], v[1:])  # then weight and bias",
    "instance_norm": "nn.functional.instance_norm(x[None], v[:3], v[1:])  # then weight and bias",
    **{
        f"embedding{bag}": f"nn.functional.embedding{bag}({given})  # indices before weights"
        for bag, given in (("", "i, x"), ("_bag", "i, x, i[:1], mode='sum'"))
    },
    "vander": "nnscratch.linalg.vander(v).flip(1)  # powers descend",
    "cond": "f(x) if bool(x.sum() > 0) else x  # the condition number is linalg.cond",
    "while_loop": "while bool(x.sum() < 0): x = x + 1",
    **{f"sym_{name}": f"{name}(x.shape)" for name in ("max", "min")},
    "sym_sum": "sum(x.shape)",
    **{f"sym_{name}": f"{name}(n)" for name in ("float", "int")},
    # Of a GPU.
    "cuda.set_device": "nnscratch.device('cuda:0')  # which x.to(device) and device= take",
    "cuda.device": "nnscratch.device('cuda:0')  # which x.to(device) and device= take",
    "cuda.get_device_propert*": _CUDA_NAME,
    "cuda.get_device_capability": _CUDA_NAME,
    "cuda.max_memory_*": _CUDA_MEMORY + "  # the bytes now: no peak is kept",
    "cuda.reset_*memory_*": _CUDA_MEMORY + "  # the bytes now: no peak is kept",
    "cuda.memory_*": _CUDA_MEMORY + "  # the bytes of arrays now; a reserve is not counted",
    "cuda.memory": _CUDA_MEMORY + "  # the bytes of arrays now",
    "cuda.mem_get_info": _CUDA_MEMORY + "  # the bytes of arrays now, not what is free",
    "cuda.is_bf16_supported": "nnscratch.float16  # bfloat16 is for the CPU only",
    "cuda.*graph*": _COMPILE,
    "cuda.CUDAGraph": _COMPILE,
    "cuda.is_current_stream_capturing": "False  # there are no CUDA graphs",
    "cuda.*[sS]tream*": _CUDA_WAIT + "  # all calls run in one stream",
    "cuda.Event": _CUDA_WAIT + "  # then time.perf_counter()",
    "Stream": _CUDA_WAIT + "  # all calls run in one stream",
    "Event": _CUDA_WAIT + "  # then time.perf_counter()",
    "cuda.get_rng_state*": "nnscratch.get_rng_state()  # one generator for all devices",
    "cuda.set_rng_state*": (
        "nnscratch.set_rng_state(nnscratch.get_rng_state())  # one generator for all devices"
    ),
    "cuda.initial_seed": "nnscratch.initial_seed()  # one generator for all devices",
    "cuda.seed*": "nnscratch.seed()  # one generator for all devices",
    "cuda.default_generators": "nnscratch.default_generator  # one for all devices",
    "cuda.random": "nnscratch.manual_seed(0)  # one generator for all devices",
    **{
        f"cuda.{kind}Tensor": f"nnscratch.{kind}Tensor([1])  # then .to('cuda')"
        for kind in ("Bool", "Byte", "Char", "Double", "Float", "Half", "Int", "Long", "Short")
    },
    "cuda.nvtx": "nnscratch.explain(model, x)",
    "cuda.profiler": "nnscratch.explain(model, x)",
    "cuda.nccl": _ONE_DEVICE,
    "cuda.comm": _ONE_DEVICE,
    "cuda.is_initialized": "nnscratch.cuda.is_available()",
    "cuda.init": "nnscratch.cuda.is_available()",
    "cuda.OutOfMemoryError": "MemoryError  # nnscratch.array.OutOfMemory is one",
    "OutOfMemoryError": "MemoryError  # nnscratch.array.OutOfMemory is one",
}

_METHODS = """
    apply_ as_strided_ as_strided_scatter as_subclass cauchy_ chalf coalesce dequantize
    digamma eig frexp gcd geometric_ geqrf hardshrink heaviside_ histogram i0 igamma
    igammac index index_reduce index_reduce_ indices int_repr is_inference is_nonzero is_pinned
    layout lcm lgamma log_normal_ lstsq lu lu_solve map_ module_load mvlgamma narrow_copy new
    new_empty_strided nextafter nonzero_static orgqr ormqr polygamma prelu record_stream
    resize_ resize_as_ set_ solve sparse_dim sparse_mask storage
    storage_offset sum_to_size symeig to_dense to_sparse triangular_solve
    unsafe_split_with_sizes untyped_storage values digamma_ gcd_ i0_ igamma_ igammac_ lcm_ lgamma_
    mvlgamma_ nextafter_ polygamma_ map2_ resize smm sspaddmm storage_type to_sparse_coo
    to_sparse_csr sparse_resize_ resize_as_sparse_ is_coalesced dense_dim crow_indices col_indices
"""
METHODS = tuple(_METHODS.split())
"""Methods of PyTorch's tensors that are not there."""
