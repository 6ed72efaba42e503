// cuBLAS on a CPU, as far as nnscratch calls it: matrices by columns, and the checks of its
// documentation that a mistake in an argument would meet.
#include <cstddef>
#include <cstdint>

struct Gemm {
  int transpose_a, transpose_b, m, n, k, a_type, lda, b_type, ldb, c_type, ldc, compute, algorithm;
  const void *alpha, *a, *b, *beta;
  void *c, *stream, *workspace;
};

struct Handle {
  void *stream, *workspace;
  std::size_t bytes;
};

// Whoever plays a capture is told of each product here, in the place of its computation.
static int (*on_gemm)(const Gemm*) = nullptr;
static int handles = 0;

enum Status { SUCCESS, NOT_INITIALIZED, INVALID_VALUE = 7, NOT_SUPPORTED = 15 };
enum Type { FLOAT = 0, DOUBLE = 1 };

template <class T>
static T at(const T* x, int transposed, int ld, int row, int column) {
  return transposed ? x[column + std::size_t(row) * ld] : x[row + std::size_t(column) * ld];
}

template <class T>
static void multiply(const Gemm& g) {
  const T *a = static_cast<const T*>(g.a), *b = static_cast<const T*>(g.b);
  T* c = static_cast<T*>(g.c);
  const T alpha = *static_cast<const T*>(g.alpha), beta = *static_cast<const T*>(g.beta);
  for (int j = 0; j < g.n; ++j) {
    for (int i = 0; i < g.m; ++i) {
      T sum = 0;
      for (int l = 0; l < g.k; ++l)
        sum += at(a, g.transpose_a, g.lda, i, l) * at(b, g.transpose_b, g.ldb, l, j);
      T& place = c[i + std::size_t(j) * g.ldc];
      place = alpha * sum + (beta == 0 ? T(0) : beta * place);
    }
  }
}

extern "C" {

void cublas_on_cpu_watch(int (*watch)(const Gemm*)) { on_gemm = watch; }
int cublas_on_cpu_handles() { return handles; }
void cublas_on_cpu_run(const Gemm* g) { g->c_type == FLOAT ? multiply<float>(*g) : multiply<double>(*g); }

int cublasCreate_v2(Handle** made) {
  *made = new Handle{nullptr, nullptr, 0};
  ++handles;
  return SUCCESS;
}

int cublasDestroy_v2(Handle* handle) {
  if (handle == nullptr) return NOT_INITIALIZED;
  delete handle;
  --handles;
  return SUCCESS;
}

int cublasSetStream_v2(Handle* handle, void* stream) {
  if (handle == nullptr) return NOT_INITIALIZED;
  *handle = Handle{stream, nullptr, 0};  // the workspace is forgotten
  return SUCCESS;
}

int cublasSetWorkspace_v2(Handle* handle, void* workspace, std::size_t bytes) {
  if (handle == nullptr) return NOT_INITIALIZED;
  if (reinterpret_cast<std::uintptr_t>(workspace) % 256) return INVALID_VALUE;
  handle->workspace = workspace;
  handle->bytes = bytes;
  return SUCCESS;
}

int cublasGemmEx(Handle* handle, int transpose_a, int transpose_b, int m, int n, int k,
                 const void* alpha, const void* a, int a_type, int lda, const void* b, int b_type,
                 int ldb, const void* beta, void* c, int c_type, int ldc, int compute,
                 int algorithm) {
  if (handle == nullptr || handle->workspace == nullptr) return NOT_INITIALIZED;
  const bool transposed = (transpose_a == 0 || transpose_a == 1) &&
                          (transpose_b == 0 || transpose_b == 1);
  if (!transposed || m < 0 || n < 0 || k < 0) return INVALID_VALUE;
  if (lda < (transpose_a ? k : m) || ldb < (transpose_b ? n : k) || ldc < m) return INVALID_VALUE;
  const bool single = compute == 68 || compute == 75 || compute == 77;
  if (a_type != b_type || a_type != c_type || algorithm != -1) return NOT_SUPPORTED;
  if (!(a_type == FLOAT && single) && !(a_type == DOUBLE && compute == 70)) return NOT_SUPPORTED;
  const Gemm g{transpose_a, transpose_b, m, n, k, a_type, lda, b_type, ldb, c_type, ldc,
               compute, algorithm, alpha, a, b, beta, c, handle->stream, handle->workspace};
  if (on_gemm != nullptr && on_gemm(&g)) return SUCCESS;
  cublas_on_cpu_run(&g);
  return SUCCESS;
}

}  // extern "C"
