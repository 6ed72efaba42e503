// What stands around the products of a linear layer, in one pass each.
//
//   Z = X W^T                          by cuBLAS, or by matmul.cu
//   Z += b, Y = f(Z)                   bias_activation
//   dZ = dY f', db = sum of dZ's rows  bias_activation_backward, then column_finish
//   dX = dZ W, dW = dZ^T X             by cuBLAS, or by matmul.cu
//
// Sums of columns go in two stages: a block adds up a stripe of rows, always in the same order,
// and writes one row of `partial`; column_finish adds up those rows. No atomics are needed.
#include "common.cuh"
#include "words.cuh"
#include "fused_activations.cuh"

constexpr int LANES_X = 32, LANES_Y = 8;  // the block of the kernels that sum columns

// Adds the bias and applies the activation. `z` keeps the sum unless it is null; `y` may be the
// product itself.
template <int CODE>
DEVICE void bias_activation(const REAL* product, const REAL* b, REAL* z, REAL* y, Index rows,
                            Index columns, REAL p, REAL q) {
  const bool packed = columns % WIDTH == 0 && aligned(product) && aligned(y) &&
                      (b == nullptr || aligned(b)) && (z == nullptr || aligned(z));
  const int width = packed ? WIDTH : 1;
  const Index across = columns / width, n = rows * across;
  // The column moves on by the same step each time: one division for a thread, not for an element.
  Index column = first() % across;
  const Index step = stride() % across;
  for (Index j = first(); j < n; j += stride()) {
    if (packed) {
      Pack sum = load(product, j);
      if (b != nullptr) {
        const Pack bias = load(b, column);
        for (int k = 0; k < WIDTH; ++k) sum.v[k] += bias.v[k];
      }
      if (z != nullptr) store(z, j, sum);
      for (int k = 0; k < WIDTH; ++k) sum.v[k] = Activation<CODE>::forward(sum.v[k], p, q);
      store(y, j, sum);
    } else {
      const REAL sum = product[j] + (b == nullptr ? REAL(0) : b[column]);
      if (z != nullptr) z[j] = sum;
      y[j] = Activation<CODE>::forward(sum, p, q);
    }
    column += step;
    if (column >= across) column -= across;
  }
}

// Adds up what the LANES_Y rows of a block have found for each of its columns, in a fixed order,
// and writes the sum of this block's stripe.
DEVICE void write_stripe(REAL sum, REAL (*sums)[LANES_X + 1], REAL* partial, Index column,
                         Index columns) {
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y == 0 && column < columns) {
    REAL total = sums[0][threadIdx.x];
    for (int k = 1; k < LANES_Y; ++k) total += sums[k][threadIdx.x];
    partial[blockIdx.y * columns + column] = total;
  }
}

template <int CODE>
DEVICE void bias_activation_backward(const REAL* dy, const REAL* v, REAL* dz, REAL* partial,
                                     Index rows, Index columns, Index stripe, REAL p, REAL q,
                                     REAL (*sums)[LANES_X + 1]) {
  const Index column = static_cast<Index>(blockIdx.x) * LANES_X + threadIdx.x;
  const Index start = blockIdx.y * stripe, end = start + stripe < rows ? start + stripe : rows;
  REAL sum = 0;
  if (column < columns) {
    for (Index row = start + threadIdx.y; row < end; row += LANES_Y) {
      const Index i = row * columns + column;
      const REAL d = Activation<CODE>::backward(dy[i], v[i], p, q);
      dz[i] = d;
      sum += d;
    }
  }
  if (partial != nullptr) write_stripe(sum, sums, partial, column, columns);
}

// z = product + b, y = f(z)
#define BIAS_ACTIVATION(CODE, NAME)                                                         \
  KERNEL bias_activation_##NAME(const REAL* product, const REAL* b, REAL* z, REAL* y,       \
                                Index rows, Index columns, double p, double q) {            \
    bias_activation<CODE>(product, b, z, y, rows, columns, REAL(p), REAL(q));               \
  }
ACTIVATIONS(BIAS_ACTIVATION)

// dz = dy f', and a row of `partial` for each stripe of rows (unless it is null); a block for each
// 32 columns (x) and each stripe (y).
#define BIAS_ACTIVATION_BACKWARD(CODE, NAME)                                                \
  KERNEL bias_activation_backward_##NAME(const REAL* dy, const REAL* v, REAL* dz,           \
                                         REAL* partial, Index rows, Index columns,          \
                                         Index stripe, double p, double q) {                \
    __shared__ REAL sums[LANES_Y][LANES_X + 1];                                             \
    bias_activation_backward<CODE>(dy, v, dz, partial, rows, columns, stripe, REAL(p),      \
                                   REAL(q), sums);                                          \
  }
ACTIVATIONS(BIAS_ACTIVATION_BACKWARD)

// A row of `partial` for each stripe of the rows of x; blocks as above.
KERNEL column_stripes(const REAL* x, REAL* partial, Index rows, Index columns, Index stripe) {
  __shared__ REAL sums[LANES_Y][LANES_X + 1];
  const Index column = static_cast<Index>(blockIdx.x) * LANES_X + threadIdx.x;
  const Index start = blockIdx.y * stripe, end = start + stripe < rows ? start + stripe : rows;
  REAL sum = 0;
  if (column < columns)
    for (Index row = start + threadIdx.y; row < end; row += LANES_Y)
      sum += x[row * columns + column];
  write_stripe(sum, sums, partial, column, columns);
}

// sum[c] = the sum of the rows of `partial`
KERNEL column_finish(const REAL* partial, REAL* sum, Index rows, Index columns) {
  for (Index column = first(); column < columns; column += stride()) {
    REAL total = 0;
    for (Index row = 0; row < rows; ++row) total += partial[row * columns + column];
    sum[column] = total;
  }
}
