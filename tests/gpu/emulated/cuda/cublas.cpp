// cuBLAS on a CPU, as far as CuPy and nnscratch call it: matrices by columns, the checks of its
// documentation that a mistake in an argument would meet.
#include <cstddef>
#include <cstdint>

#include "device.h"

namespace {

enum Status { SUCCESS, NOT_INITIALIZED, INVALID_VALUE = 7, EXECUTION_FAILED = 13, NOT_SUPPORTED = 15 };
enum Type { FLOAT = 0, DOUBLE = 1 };

struct Handle {
  void *stream, *workspace;
  int pointers, mode, device;

  bool owns(const void* address) const { return gpu_owns(device, address); }
};

template <class T>
struct Gemm {
  int transpose_a, transpose_b, m, n, k;
  T alpha;
  const T* a;
  int lda;
  const T* b;
  int ldb;
  T beta;
  T* c;
  int ldc;
};

template <class T>
T at(const T* x, int transposed, int ld, int row, int column) {
  return transposed ? x[column + std::size_t(row) * ld] : x[row + std::size_t(column) * ld];
}

template <class T>
void multiply(const Gemm<T>& g) {
  for (int j = 0; j < g.n; ++j) {
    for (int i = 0; i < g.m; ++i) {
      T sum = 0;
      for (int l = 0; l < g.k; ++l)
        sum += at(g.a, g.transpose_a, g.lda, i, l) * at(g.b, g.transpose_b, g.ldb, l, j);
      T& place = g.c[i + std::size_t(j) * g.ldc];
      place = g.alpha * sum + (g.beta == 0 ? T(0) : g.beta * place);
    }
  }
}

template <class T>
int gemm(Handle* handle, int ta, int tb, int m, int n, int k, const void* alpha, const void* a,
         int lda, long long stride_a, const void* b, int ldb, long long stride_b, const void* beta,
         void* c, int ldc, long long stride_c, int count) {
  if (handle == nullptr) return NOT_INITIALIZED;
  const bool turned = (ta == 0 || ta == 1) && (tb == 0 || tb == 1);
  if (!turned || m < 0 || n < 0 || k < 0 || count < 0) return INVALID_VALUE;
  if (lda < (ta ? k : m) || ldb < (tb ? n : k) || ldc < m) return INVALID_VALUE;
  // cuBLAS allocates a workspace unless it is given one, which a graph cannot repeat.
  if (captured(stream_of(handle->stream)) && handle->workspace == nullptr) return NOT_SUPPORTED;
  if (m == 0 || n == 0 || count == 0) return SUCCESS;
  if (handle->device != gpu_current) return EXECUTION_FAILED;
  if (!handle->owns(c) || (k && (!handle->owns(a) || !handle->owns(b)))) return EXECUTION_FAILED;
  const bool there = handle->pointers == 1;  // the factors are on the device
  const T x = there ? T(0) : *static_cast<const T*>(alpha);
  const T y = there ? T(0) : *static_cast<const T*>(beta);
  const int error = gpu_launch(handle->stream, [=] {
    for (int p = 0; p < count; ++p)
      multiply(Gemm<T>{ta, tb, m, n, k, there ? *static_cast<const T*>(alpha) : x,
                       static_cast<const T*>(a) + p * stride_a, lda,
                       static_cast<const T*>(b) + p * stride_b, ldb,
                       there ? *static_cast<const T*>(beta) : y,
                       static_cast<T*>(c) + p * stride_c, ldc});
    return 0;
  });
  return error ? EXECUTION_FAILED : SUCCESS;
}

// The addresses of the matrices are themselves on the device.
template <class T>
int gemm_of_pointers(Handle* handle, int ta, int tb, int m, int n, int k, const T* alpha,
                     const T* const* a, int lda, const T* const* b, int ldb, const T* beta,
                     T* const* c, int ldc, int count) {
  if (handle == nullptr) return NOT_INITIALIZED;
  if (lda < (ta ? k : m) || ldb < (tb ? n : k) || ldc < m) return INVALID_VALUE;
  if (!handle->owns(a) || !handle->owns(b) || !handle->owns(c)) return EXECUTION_FAILED;
  const bool there = handle->pointers == 1;
  const T x = there ? T(0) : *alpha, y = there ? T(0) : *beta;
  return gpu_launch(handle->stream, [=] {
    for (int p = 0; p < count; ++p)
      multiply(Gemm<T>{ta, tb, m, n, k, there ? *alpha : x, a[p], lda, b[p], ldb,
                       there ? *beta : y, c[p], ldc});
    return 0;
  }) ? EXECUTION_FAILED : SUCCESS;
}

template <class T>
int dot(Handle* handle, int n, const T* x, int step_x, const T* y, int step_y, T* result) {
  if (handle == nullptr) return NOT_INITIALIZED;
  if (handle->pointers != 1) return NOT_SUPPORTED;  // CuPy asks for the result on the device
  return gpu_launch(handle->stream, [=] {
    T sum = 0;
    for (int i = 0; i < n; ++i)
      sum += x[std::ptrdiff_t(i) * step_x] * y[std::ptrdiff_t(i) * step_y];
    *result = sum;
    return 0;
  }) ? EXECUTION_FAILED : SUCCESS;
}

template <class T>
int gemv(Handle* handle, int turned, int m, int n, const T* alpha, const T* a, int lda, const T* x,
         int step_x, const T* beta, T* y, int step_y) {
  if (handle == nullptr) return NOT_INITIALIZED;
  if (step_x <= 0 || step_y <= 0 || lda < m) return INVALID_VALUE;
  const bool there = handle->pointers == 1;
  const T p = there ? T(0) : *alpha, q = there ? T(0) : *beta;
  return gpu_launch(handle->stream, [=] {
    const T f = there ? *alpha : p, g = there ? *beta : q;
    const int rows = turned ? n : m, columns = turned ? m : n;
    for (int i = 0; i < rows; ++i) {
      T sum = 0;
      for (int l = 0; l < columns; ++l)
        sum += at(a, turned, lda, i, l) * x[std::ptrdiff_t(l) * step_x];
      T& place = y[std::ptrdiff_t(i) * step_y];
      place = f * sum + (g == 0 ? T(0) : g * place);
    }
    return 0;
  }) ? EXECUTION_FAILED : SUCCESS;
}

bool known(int a_type, int b_type, int c_type, int compute, int algorithm) {
  const bool single = compute == 68 || compute == 75 || compute == 77;
  if (a_type != b_type || a_type != c_type) return false;
  if (algorithm != -1 && algorithm != 99) return false;
  return (a_type == FLOAT && single) || (a_type == DOUBLE && compute == 70);
}

}  // namespace

extern "C" {

int cublasCreate_v2(Handle** made) {
  *made = new Handle{nullptr, nullptr, 0, 0, gpu_current};
  return SUCCESS;
}

int cublasDestroy_v2(Handle* handle) {
  if (handle == nullptr) return NOT_INITIALIZED;
  delete handle;
  return SUCCESS;
}

int cublasGetVersion_v2(Handle*, int* version) {
  *version = 120900;
  return SUCCESS;
}

int cublasSetStream_v2(Handle* handle, void* stream) {
  handle->stream = stream;
  handle->workspace = nullptr;  // it is forgotten
  return SUCCESS;
}

int cublasGetStream_v2(Handle* handle, void** stream) {
  *stream = handle->stream;
  return SUCCESS;
}

int cublasSetWorkspace_v2(Handle* handle, void* workspace, std::size_t) {
  if (reinterpret_cast<std::uintptr_t>(workspace) % 256 || !handle->owns(workspace)) return INVALID_VALUE;
  handle->workspace = workspace;
  return SUCCESS;
}

int cublasSetPointerMode_v2(Handle* handle, int mode) {
  handle->pointers = mode;
  return SUCCESS;
}

int cublasGetPointerMode_v2(Handle* handle, int* mode) {
  *mode = handle->pointers;
  return SUCCESS;
}

int cublasSetMathMode(Handle* handle, int mode) {
  handle->mode = mode;
  return SUCCESS;
}

int cublasGetMathMode(Handle* handle, int* mode) {
  *mode = handle->mode;
  return SUCCESS;
}

int cublasGemmEx(Handle* handle, int ta, int tb, int m, int n, int k, const void* alpha,
                 const void* a, int a_type, int lda, const void* b, int b_type, int ldb,
                 const void* beta, void* c, int c_type, int ldc, int compute, int algorithm) {
  if (!known(a_type, b_type, c_type, compute, algorithm)) return NOT_SUPPORTED;
  return (a_type == FLOAT ? gemm<float> : gemm<double>)(handle, ta, tb, m, n, k, alpha, a, lda, 0,
                                                        b, ldb, 0, beta, c, ldc, 0, 1);
}

int cublasGemmStridedBatchedEx(Handle* handle, int ta, int tb, int m, int n, int k,
                               const void* alpha, const void* a, int a_type, int lda,
                               long long stride_a, const void* b, int b_type, int ldb,
                               long long stride_b, const void* beta, void* c, int c_type, int ldc,
                               long long stride_c, int count, int compute, int algorithm) {
  if (!known(a_type, b_type, c_type, compute, algorithm)) return NOT_SUPPORTED;
  return (a_type == FLOAT ? gemm<float> : gemm<double>)(handle, ta, tb, m, n, k, alpha, a, lda,
                                                        stride_a, b, ldb, stride_b, beta, c, ldc,
                                                        stride_c, count);
}

#define BY_TYPE(T, LETTER)                                                                        \
  int cublas##LETTER##gemm_v2(Handle* handle, int ta, int tb, int m, int n, int k,                \
                              const T* alpha, const T* a, int lda, const T* b, int ldb,           \
                              const T* beta, T* c, int ldc) {                                     \
    return gemm<T>(handle, ta, tb, m, n, k, alpha, a, lda, 0, b, ldb, 0, beta, c, ldc, 0, 1);     \
  }                                                                                               \
  int cublas##LETTER##gemmStridedBatched(                                                         \
      Handle* handle, int ta, int tb, int m, int n, int k, const T* alpha, const T* a, int lda,   \
      long long stride_a, const T* b, int ldb, long long stride_b, const T* beta, T* c, int ldc,  \
      long long stride_c, int count) {                                                            \
    return gemm<T>(handle, ta, tb, m, n, k, alpha, a, lda, stride_a, b, ldb, stride_b, beta, c,   \
                   ldc, stride_c, count);                                                         \
  }                                                                                               \
  int cublas##LETTER##gemmBatched(Handle* handle, int ta, int tb, int m, int n, int k,            \
                                  const T* alpha, const T* const* a, int lda,                     \
                                  const T* const* b, int ldb, const T* beta, T* const* c,         \
                                  int ldc, int count) {                                           \
    return gemm_of_pointers(handle, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, count); \
  }                                                                                               \
  int cublas##LETTER##dot_v2(Handle* handle, int n, const T* x, int step_x, const T* y,           \
                             int step_y, T* result) {                                             \
    return dot(handle, n, x, step_x, y, step_y, result);                                          \
  }                                                                                               \
  int cublas##LETTER##gemv_v2(Handle* handle, int turned, int m, int n, const T* alpha,           \
                              const T* a, int lda, const T* x, int step_x, const T* beta, T* y,   \
                              int step_y) {                                                       \
    return gemv(handle, turned, m, n, alpha, a, lda, x, step_x, beta, y, step_y);                 \
  }

BY_TYPE(float, S)
BY_TYPE(double, D)

}  // extern "C"
