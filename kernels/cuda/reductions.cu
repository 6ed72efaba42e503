// Sums of all elements in two stages, each in an order that depends on sizes only.
#include "common.cuh"

template <bool SQUARED>
DEVICE double term(REAL x) {
  return SQUARED ? static_cast<double>(x) * static_cast<double>(x) : static_cast<double>(x);
}

template <bool SQUARED>
DEVICE void block_sums(const REAL* x, double* partial, Index n, double* scratch) {
  double sum = 0;
  sweep(
      n, aligned(x),
      [&](Index j) {
        const Pack pack = load(x, j);
        for (int k = 0; k < WIDTH; ++k) sum += term<SQUARED>(pack.v[k]);
      },
      [&](Index i) { sum += term<SQUARED>(x[i]); });
  sum = block_sum(sum, scratch);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

// partial[block] = the sum of the elements that its threads meet
KERNEL sum_blocks(const REAL* x, double* partial, Index n) {
  __shared__ double scratch[WARP];
  block_sums<false>(x, partial, n, scratch);
}

// the same of the squares
KERNEL square_blocks(const REAL* x, double* partial, Index n) {
  __shared__ double scratch[WARP];
  block_sums<true>(x, partial, n, scratch);
}

// out[0] = scale times the sum of `partial`; one block
KERNEL sum_finish(const double* partial, REAL* out, Index n, double scale) {
  __shared__ double scratch[WARP];
  double sum = 0;
  for (Index i = threadIdx.x; i < n; i += THREADS) sum += partial[i];
  sum = block_sum(sum, scratch);
  if (threadIdx.x == 0) out[0] = REAL(sum * scale);
}

// g = g min(1, most / (norm + 1e-6)), the norm one number in memory
KERNEL scale_by_norm(REAL* g, const REAL* norm, Index n, double most) {
  const REAL ratio = REAL(most) / (norm[0] + REAL(1e-6));
  const REAL factor = ratio > 1 ? REAL(1) : ratio;  // NaN stays NaN
  sweep(
      n, aligned(g),
      [=](Index j) {
        Pack pack = load(g, j);
        for (int k = 0; k < WIDTH; ++k) pack.v[k] *= factor;
        store(g, j, pack);
      },
      [=](Index i) { g[i] *= factor; });
}
