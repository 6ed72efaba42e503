// A matrix product in tiles, with the bias and the activation behind it: y = f(a b + bias).
//
// Each block makes one tile of y. It walks along the inner dimension: all its threads together
// copy a tile of a and one of b into shared memory, wait for each other, and every thread adds up
// its row times its column out of there. An entry of a is thus read from memory once for TILE
// columns of y instead of once for each. cuBLAS does the same with larger tiles in registers; this
// one is for products so small that a second launch for the bias costs more, and for reading.
#include "common.cuh"
#include "words.cuh"
#include "fused_activations.cuh"

constexpr int TILE = 16;

// Entry (i, k) of a is at a[i a_row + k a_column], so a transpose is a change of steps.
struct Steps {
  Index a_row, a_column, b_row, b_column;
};

template <int CODE>
DEVICE void matmul(const REAL* a, const REAL* b, const REAL* bias, REAL* z, REAL* y, Index m,
                   Index n, Index inner, Steps s, REAL p, REAL q, REAL (*left)[TILE + 1],
                   REAL (*right)[TILE + 1]) {
  // Blocks are numbered along x only: y and z of a grid end at 65535.
  const Index across = (n + TILE - 1) / TILE;
  const Index top = blockIdx.x / across * TILE, side = blockIdx.x % across * TILE;
  const Index row = top + threadIdx.y, column = side + threadIdx.x;
  // Neighbouring threads copy neighbouring entries, whichever way they lie in memory.
  const bool along_a = s.a_column == 1, along_b = s.b_column == 1;
  const int a_i = along_a ? threadIdx.y : threadIdx.x, a_k = along_a ? threadIdx.x : threadIdx.y;
  const int b_k = along_b ? threadIdx.y : threadIdx.x, b_j = along_b ? threadIdx.x : threadIdx.y;
  REAL sum = 0;
  for (Index start = 0; start < inner; start += TILE) {
    const bool inside_a = top + a_i < m && start + a_k < inner;
    const bool inside_b = side + b_j < n && start + b_k < inner;
    left[a_i][a_k] = inside_a ? a[(top + a_i) * s.a_row + (start + a_k) * s.a_column] : REAL(0);
    right[b_k][b_j] = inside_b ? b[(start + b_k) * s.b_row + (side + b_j) * s.b_column] : REAL(0);
    __syncthreads();  // the tiles are complete
    for (int k = 0; k < TILE; ++k) sum += left[threadIdx.y][k] * right[k][threadIdx.x];
    __syncthreads();  // nobody reads them any more
  }
  if (row < m && column < n) {
    if (bias != nullptr) sum += bias[column];
    if (z != nullptr) z[row * n + column] = sum;
    y[row * n + column] = Activation<CODE>::forward(sum, p, q);
  }
}

// y (m, n) = f(a b + bias); z keeps a b + bias unless it is null. A block of 16 x 16 threads for
// each tile of y.
#define MATMUL(CODE, NAME)                                                                  \
  KERNEL matmul_##NAME(const REAL* a, const REAL* b, const REAL* bias, REAL* z, REAL* y,    \
                       Index m, Index n, Index inner, Index a_row, Index a_column,          \
                       Index b_row, Index b_column, double p, double q) {                   \
    __shared__ REAL left[TILE][TILE + 1], right[TILE][TILE + 1];                            \
    matmul<CODE>(a, b, bias, z, y, m, n, inner, Steps{a_row, a_column, b_row, b_column},    \
                 REAL(p), REAL(q), left, right);                                            \
  }
ACTIVATIONS(MATMUL)
