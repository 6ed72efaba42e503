// Sums of all elements in two stages, each in an order that depends on sizes only.
#include "common.cuh"
#include "axes.cuh"

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

// partial[stripe][o] = the sum of a stripe of the entries behind output o: x is gone over along the
// axes `kept` by the outputs and along `summed` by the entries. A warp for each output, for sums
// along neighbours; stripes are numbered by blockIdx.y.
KERNEL axis_sums_of_warps(const REAL* x, double* partial, Index outputs, Index entries,
                          Index stripe, Lengths kept, Lengths summed) {
  const Index begin = blockIdx.y * stripe, last = begin + stripe;
  const Index end = last < entries ? last : entries;
  for (Index o = first() / WARP; o < outputs; o += stride() / WARP) {
    const REAL* from = x + kept.place(o);
    double sum = 0;
    for (Index r = begin + threadIdx.x % WARP; r < end; r += WARP)
      sum += static_cast<double>(from[summed.place(r)]);
    sum = warp_sum(sum);
    if (threadIdx.x % WARP == 0) partial[blockIdx.y * outputs + o] = sum;
  }
}

constexpr int LANES_X = 32, LANES_Y = 8;

// The same where neighbouring outputs have neighbouring entries: blocks of 32 x 8 threads.
KERNEL axis_sums_of_columns(const REAL* x, double* partial, Index outputs, Index entries,
                            Index stripe, Lengths kept, Lengths summed) {
  __shared__ double sums[LANES_Y][LANES_X + 1];
  const Index o = static_cast<Index>(blockIdx.x) * LANES_X + threadIdx.x;
  const Index begin = blockIdx.y * stripe, last = begin + stripe;
  const Index end = last < entries ? last : entries;
  double sum = 0;
  if (o < outputs) {
    const REAL* from = x + kept.place(o);
    for (Index r = begin + threadIdx.y; r < end; r += LANES_Y)
      sum += static_cast<double>(from[summed.place(r)]);
  }
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y == 0 && o < outputs) {
    double total = sums[0][threadIdx.x];
    for (int k = 1; k < LANES_Y; ++k) total += sums[k][threadIdx.x];
    partial[blockIdx.y * outputs + o] = total;
  }
}

// out[o] = scale times the sum of the stripes of output o
KERNEL axis_sums_finish(const double* partial, REAL* out, Index outputs, Index stripes,
                        double scale) {
  for (Index o = first(); o < outputs; o += stride()) {
    double total = 0;
    for (Index k = 0; k < stripes; ++k) total += partial[k * outputs + o];
    out[o] = REAL(total * scale);
  }
}
